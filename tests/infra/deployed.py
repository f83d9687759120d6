"""A deployed stack of the tests' own, whose AWS is a table of answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from slipway.release.deployed_stack import DeployedStack
from tests.infra.aws_calls import check_call

ACCOUNT = "111122223333"
CLUSTER = f"arn:aws:ecs:eu-central-1:{ACCOUNT}:cluster/shop"
NETWORK = {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}


class Answers:
    """Clients of all services: a call that is not in the table is an error of the test.

    One that boto3 would refuse is the code's.
    """

    def __init__(self, table: Mapping[str, Callable[..., Any] | Any]) -> None:
        self.table = dict(table)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.account = ACCOUNT
        self.meta = SimpleNamespace(endpoint_url="https://ssm.example")
        credentials = SimpleNamespace(access_key="key", secret_key="secret", token="token")  # noqa: S106 - of the test
        self.session = SimpleNamespace(
            region_name="eu-central-1",
            get_credentials=lambda: SimpleNamespace(get_frozen_credentials=lambda: credentials),
        )

    def of(self, _: str) -> Answers:
        return self

    def client(self, service: str) -> Any:
        return _Client(self, service)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        answer = self.table[name]

        def call(**given: Any) -> Any:
            self.calls.append((name, given))
            return answer(**given) if callable(answer) else answer

        return call

    def given(self, name: str) -> list[dict[str, Any]]:
        """What a call was given, each time."""
        return [given for called, given in self.calls if called == name]


class _Client:
    """The client of one service."""

    def __init__(self, answers: Answers, service: str) -> None:
        self._answers, self._service = answers, service

    def get_paginator(self, name: str) -> Any:
        return SimpleNamespace(paginate=lambda **given: [getattr(self, name)(**given)])

    def __getattr__(self, name: str) -> Any:
        answer = getattr(self._answers, name)
        if name in ("meta", "exceptions") or not callable(answer):
            return answer

        def call(**given: Any) -> Any:
            check_call(self._service, name, given)
            return answer(**given)

        return call


def deployed(aws: Any, **outputs: Any) -> DeployedStack:
    """A stack with a web and a worker."""
    services = {"web": "shop-web", "worker": "shop-worker"}
    return DeployedStack("dev", aws, CLUSTER, services, {"exec": True, "logGroups": {}, **outputs})
