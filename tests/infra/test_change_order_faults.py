"""What the comparison of two programs calls a fault: each on resources made by hand, so that it can be seen to fail."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.infra.change_order import Comparison, key
from tests.infra.recorder import Registered

SERVICE = "aws:ecs/service:Service"
RULE = "aws:lb/listenerRule:ListenerRule"


def resource(kind: str, name: str, depends_on: tuple[str, ...] = (), **inputs: Any) -> Registered:
    return Registered(kind, name, inputs, "", False, (), (), depends_on, {}, {}, "")


def faults(before: list[Registered], after: list[Registered]) -> list[str]:
    return list(Comparison({key(r): r for r in before}, {key(r): r for r in after}).faults())


def policy(*actions: str) -> Registered:
    document = json.dumps({"Statement": [{"Action": list(actions), "Resource": "*"}]})
    return resource("aws:iam/rolePolicy:RolePolicy", "web-task", policy=document)


def rule(path: str, depends_on: tuple[str, ...] = ()) -> Registered:
    return resource(RULE, "api-rule", depends_on, conditions=[{"pathPattern": {"values": [path]}}])


WEB = resource(SERVICE, "web", ("RolePolicy web-task", "TargetGroup web", "SecurityGroupIngressRule web"))
API = resource(SERVICE, "api")


def test_a_policy_that_loses_an_action_in_place() -> None:
    assert faults([policy("s3:Get", "s3:Put"), WEB], [policy("s3:Get"), WEB]) == [
        "RolePolicy web-task: running tasks lose s3:Put on * before the rollout"
    ]
    assert faults([policy("s3:Get"), WEB], [policy("s3:Get", "s3:Put"), WEB]) == []


def test_a_health_check_that_no_hook_looks_at() -> None:
    old, new = (resource("aws:lb/targetGroup:TargetGroup", "web", healthCheck={"path": path}) for path in ("/a", "/b"))
    (fault,) = faults([old, WEB], [new, WEB])
    assert "no hook asks them" in fault
    hooked = replace(new, hooks={"before_update": ("web-health-check",)})
    assert faults([old, WEB], [hooked, WEB]) == []


def test_a_port_that_changes_in_place_has_to_be_explained() -> None:
    kind = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    old, new = (resource(kind, "web", fromPort=port) for port in (8000, 8100))
    (fault,) = faults([old, WEB], [new, WEB])
    assert "fromPort changes before the rollout" in fault


def test_a_load_balancer_that_leaves_a_zone() -> None:
    kind = "aws:lb/loadBalancer:LoadBalancer"
    user = resource(SERVICE, "web", ("LoadBalancer lb",))
    three, two = (resource(kind, "lb", subnets=subnets) for subnets in (["a", "b", "c"], ["a", "b"]))
    assert len(faults([three, user], [two, user])) == 1
    assert faults([two, user], [three, user]) == []


@pytest.mark.parametrize("before", [[rule("/a/*"), API], [API]])
def test_a_rule_that_moves_requests_before_the_rollout(before: list[Registered]) -> None:
    (fault,) = faults(before, [rule("/b/*"), API])
    assert "moves requests before the new tasks serve" in fault
    assert faults(before, [rule("/b/*", ("Service api",)), API]) == []


def test_a_rule_that_outlives_its_service() -> None:
    before = [rule("/a/*"), resource(SERVICE, "api", ("ListenerRule api-rule",)), WEB]
    assert faults(before, [WEB]) == ["ListenerRule api-rule still sends requests while Service api is being deleted"]
    assert faults([rule("/a/*", ("Service api",)), API, WEB], [WEB]) == []
