"""Calls of tests, and what they need."""

from __future__ import annotations

from typing import Any

from slipway_local.rights.actions import Check, checks_of
from slipway_local.rights.resources import Place
from slipway_local.rights.service_models import service
from slipway_local.rights.wire import ApiCall
from tests.local.rights.fakes import ACCOUNT, REGION, FakeState


def arn(service_name: str, resource: str) -> str:
    return f"arn:aws:{service_name}:{REGION}:{ACCOUNT}:{resource}"


ECS = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
ELB = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}"
EC2 = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
BALANCER = f"{ELB}:loadbalancer/app/web/50dc"
LISTENER = f"{ELB}:listener/app/web/50dc/f2f7"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/task"
KEY = arn("kms", "key/k")
TAGS = [{"Key": "Stack", "Value": "prod"}]
ECS_TAGS = [{"key": "Stack", "value": "prod"}]


def checks(service_name: str, operation: str, state: FakeState | None = None, **params: Any) -> list[Check]:
    found = service(service_name)
    assert found is not None
    headers = params.pop("headers", {})
    return checks_of(
        ApiCall(found, operation, params, "json", headers), Place(ACCOUNT, REGION, state or FakeState()), {}
    )


def needed(service_name: str, operation: str, state: FakeState | None = None, **params: Any) -> list[tuple[str, str]]:
    return [(check.action, check.resource) for check in checks(service_name, operation, state, **params)]
