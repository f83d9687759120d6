"""Scalable targets of the local AWS: what AWS refuses is refused, what is left out stays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from ministack.core import router
from ministack.core.responses import request_scope

from slipway_local.emulator.patches import application_autoscaling

KEY = {
    "ServiceNamespace": "ecs",
    "ResourceId": "service/shop/web",
    "ScalableDimension": "ecs:service:DesiredCount",
}


@pytest.fixture(autouse=True)
def scope(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(application_autoscaling, "_targets", {})
    with request_scope("000000000000", "us-east-1"):
        yield


def call(action: str, **request: Any) -> tuple[int, Any]:
    headers = {"x-amz-target": f"AnyScaleFrontendService.{action}"}
    body = json.dumps(request).encode()
    status, _, answer = asyncio.run(application_autoscaling._handle_request("POST", "/", headers, body, {}))
    return status, json.loads(answer)


def test_what_is_left_out_stays_as_it_was() -> None:
    assert call("RegisterScalableTarget", **KEY, MinCapacity=2, MaxCapacity=4)[0] == 200
    call("RegisterScalableTarget", **KEY, MinCapacity=0, SuspendedState={"DynamicScalingOutSuspended": True})
    ((target),) = call("DescribeScalableTargets", ServiceNamespace="ecs", ResourceIds=["service/shop/web"])[1][
        "ScalableTargets"
    ]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 4)
    assert target["SuspendedState"] == {
        "DynamicScalingInSuspended": False,
        "DynamicScalingOutSuspended": True,
        "ScheduledScalingSuspended": False,
    }
    assert call("DescribeScalableTargets", ServiceNamespace="ecs", ResourceIds=["other"])[1]["ScalableTargets"] == []


def test_what_aws_refuses_is_refused() -> None:
    assert call("RegisterScalableTarget", **KEY, MinCapacity=2)[1]["__type"] == "ValidationException"
    assert call("RegisterScalableTarget", **KEY, MinCapacity=5, MaxCapacity=4)[0] == 400
    assert call("DeregisterScalableTarget", **KEY)[1]["__type"] == "ObjectNotFoundException"
    assert call("PutScheduledAction", **KEY)[0] == 400


def test_its_requests_are_told_from_those_of_ec2_auto_scaling() -> None:
    application_autoscaling.install()
    headers = {
        "x-amz-target": "AnyScaleFrontendService.RegisterScalableTarget",
        "authorization": "AWS4-HMAC-SHA256 Credential=test/20261130/us-east-1/application-autoscaling/aws4_request, x",
    }
    assert router.detect_service("POST", "/", headers, {}) == application_autoscaling.SERVICE
