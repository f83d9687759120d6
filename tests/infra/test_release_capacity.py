"""What would stop a release half-way is said before anything changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.errors import SlipwayError
from infra.release.capacity import Demand, check_limits

Calls = dict[str, Callable[..., Any]]


class Account:
    """Clients that answer from a table."""

    def __init__(self, limit: float | None, tasks: list[str] = [], addresses: int = 0) -> None:  # noqa: B006 - not changed
        self.limit, self.tasks, self.addresses = limit, tasks, addresses

    def client(self, service: str) -> Any:
        return self

    def get_service_quota(self, ServiceCode: str, QuotaCode: str) -> Any:
        if self.limit is None:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetServiceQuota")
        return {"Quota": {"Value": self.limit}}

    def get_paginator(self, call: str) -> Any:
        pages = {"list_clusters": {"clusterArns": ["one"]}, "list_tasks": {"taskArns": self.tasks}}
        return type("Paginator", (), {"paginate": lambda _, **given: [pages[call]]})()

    def describe_tasks(self, cluster: str, tasks: list[str]) -> Any:
        return {"tasks": [{"cpu": cpu} for cpu in tasks]}

    def describe_addresses(self) -> Any:
        return {"Addresses": [{}] * self.addresses}


def test_a_rollout_that_the_accounts_vcpus_do_not_suffice_for_is_refused_with_the_numbers() -> None:
    account: Any = Account(6, ["2048", "2048"])
    assert check_limits(account, Demand(vcpus=2)) == []
    with pytest.raises(SlipwayError, match=r"may have 6 .*4 are in use, 2\.5 more"):
        check_limits(account, Demand(vcpus=2.5))


def test_too_few_elastic_addresses_are_refused() -> None:
    account: Any = Account(5, addresses=3)
    assert check_limits(account, Demand(addresses=2)) == []
    with pytest.raises(SlipwayError, match="Elastic IPs"):
        check_limits(account, Demand(addresses=3))


def test_a_limit_that_cannot_be_read_is_said_and_stops_nothing() -> None:
    account: Any = Account(None)
    (told,) = check_limits(account, Demand(addresses=3))
    assert "not checked" in told
