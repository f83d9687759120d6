"""What would stop a release half-way is said before anything changes."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from slipway.config.errors import SlipwayError
from slipway.release.preflight import TaskDemand, check_elastic_ip_quota, check_vcpu_quota, check_vpc_cidr


class Account:
    """Clients that answer from a table: a cluster `mine` with tasks of these CPU units, one after the other."""

    def __init__(self, limit: float | None, *tasks: int, spot: bool = False) -> None:
        self.limit, self.tasks, self.spot = limit, tasks, spot

    def client(self, service: str) -> Any:
        return self

    def get_service_quota(self, ServiceCode: str, QuotaCode: str) -> Any:
        if self.limit is None:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetServiceQuota")
        return {"Quota": {"Value": self.limit}}

    def get_paginator(self, call: str) -> Any:
        pages = {"list_clusters": {"clusterArns": ["mine"]}, "list_tasks": {"taskArns": list(self.tasks)}}
        return type("Paginator", (), {"paginate": lambda _, **given: [pages[call]]})()

    def describe_tasks(self, cluster: str, tasks: list[int]) -> Any:
        provider = {"capacityProviderName": "FARGATE_SPOT"} if self.spot else {}
        return {"tasks": [{"cpu": str(cpu), **provider} for cpu in tasks]}


def room(account: Any, *tasks: TaskDemand, cluster: str = "") -> list[str]:
    return check_vcpu_quota(account, tasks, cluster)


def test_a_first_deployment_needs_room_for_all_its_tasks() -> None:
    assert room(Account(6, 2048, 2048), TaskDemand(1024, 2)) == []
    with pytest.raises(SlipwayError, match=r"may have 6 .*4 are in use, 2\.5 more"):
        room(Account(6, 2048, 2048), TaskDemand(1024, 2), TaskDemand(512, 1))


def test_a_rollout_goes_on_where_there_is_room_for_one_more_and_is_said_to_take_longer() -> None:
    (told,) = room(Account(6, 2048, 2048), TaskDemand(2048, 2), cluster="mine")
    assert "continues more slowly" in told
    with pytest.raises(SlipwayError, match=r"2 more"):
        room(Account(5, 2048, 2048), TaskDemand(2048, 2), cluster="mine")


def test_tasks_on_spot_have_a_limit_of_their_own() -> None:
    assert room(Account(6, 4096, spot=True), TaskDemand(4096, 1)) == []
    with pytest.raises(SlipwayError, match="of Spot tasks"):
        room(Account(6, 4096, spot=True), TaskDemand(4096, 1, spot=True))


def test_too_few_elastic_addresses_are_refused() -> None:
    account: Any = Account(5)
    check_elastic_ip_quota(account, needed=2, in_use=3)
    with pytest.raises(SlipwayError, match="Elastic IPs"):
        check_elastic_ip_quota(account, needed=3, in_use=3)


def test_a_limit_that_cannot_be_read_is_said_and_stops_nothing() -> None:
    (told,) = room(Account(None), TaskDemand(1024, 2))
    assert "not checked" in told


class Networks:
    """An account with one network, of the stack `shop-prod`."""

    def client(self, service: str) -> Any:
        return self

    def describe_vpcs(self, Filters: list[dict[str, Any]]) -> Any:
        ours = Filters == [{"Name": "tag:stack", "Values": ["shop-prod"]}]
        return {"Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "10.20.0.0/16"}] if ours else []}


def test_a_network_of_another_range_than_the_stacks_own_is_refused() -> None:
    check_vpc_cidr(Networks(), "shop-prod", "10.20.0.0/16")  # type: ignore[arg-type]
    check_vpc_cidr(Networks(), "shop-dev", "10.30.0.0/16")  # type: ignore[arg-type]
    with pytest.raises(SlipwayError, match=r"vpcCidr is 10\.30\.0\.0/16.*10\.20\.0\.0/16 \(vpc-1\)"):
        check_vpc_cidr(Networks(), "shop-prod", "10.30.0.0/16")  # type: ignore[arg-type]
