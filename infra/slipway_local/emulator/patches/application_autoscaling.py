"""Application Auto Scaling: scalable targets, which ministack does not know. No load is measured, nothing scales."""

from __future__ import annotations

import json
import time
from typing import Any

from ministack import app
from ministack.core import router
from ministack.core.responses import get_account_id, get_region

SERVICE = "application-autoscaling"
PROCESSES = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")

_targets: dict[tuple[str, str, str, str, str], dict[str, Any]] = {}
"""Account, region, namespace, resource and dimension -> the target."""


def install() -> None:
    """Add the service to ministack's."""
    router.SERVICE_PATTERNS[SERVICE] = {
        "target_prefixes": ["AnyScaleFrontendService"],
        "credential_scope": SERVICE,
    }
    app.SERVICE_HANDLERS[SERVICE] = _handle_request


async def _handle_request(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Any:
    action = headers.get("x-amz-target", "").rpartition(".")[2]
    request = json.loads(body or b"{}")
    handlers = {
        "RegisterScalableTarget": register_target,
        "DeregisterScalableTarget": deregister_target,
        "DescribeScalableTargets": describe_targets,
    }
    if action not in handlers:
        status, answer = 400, {"__type": "ValidationException", "message": f"{action} is not emulated."}
    else:
        status, answer = handlers[action](request)
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()


def register_target(request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Create a target, or change what is given of it: a capacity that is left out stays, as AWS has it."""
    key = _key(request)
    former = _targets.get(key)
    if former is None and not {"MinCapacity", "MaxCapacity"} <= request.keys():
        return 400, {
            "__type": "ValidationException",
            "message": "MinCapacity and MaxCapacity are required to register a scalable target.",
        }
    target: dict[str, Any] = {
        "SuspendedState": dict.fromkeys(PROCESSES, False),
        "CreationTime": time.time(),
        **(former or {}),
        **{name: request[name] for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")},
        **{name: request[name] for name in ("MinCapacity", "MaxCapacity") if name in request},
    }
    if target["MinCapacity"] > target["MaxCapacity"]:
        return 400, {"__type": "ValidationException", "message": "Maximum capacity cannot be less than minimum."}
    target["SuspendedState"] = target["SuspendedState"] | request.get("SuspendedState", {})
    _targets[key] = target
    return 200, {}


def deregister_target(request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Remove a target."""
    if _targets.pop(_key(request), None) is None:
        return 400, {"__type": "ObjectNotFoundException", "message": "No scalable target found."}
    return 200, {}


def describe_targets(request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return the targets of a namespace, of all resources or of some."""
    scope = (get_account_id(), get_region(), request["ServiceNamespace"])
    found = [
        target
        for (*place, resource, dimension), target in _targets.items()
        if tuple(place) == scope
        and resource in request.get("ResourceIds", [resource])
        and dimension == request.get("ScalableDimension", dimension)
    ]
    return 200, {"ScalableTargets": found}


def _key(request: dict[str, Any]) -> tuple[str, str, str, str, str]:
    return (
        get_account_id(),
        get_region(),
        request["ServiceNamespace"],
        request["ResourceId"],
        request["ScalableDimension"],
    )
