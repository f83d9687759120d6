"""When ECS gives a deployment up, and the way back: the circuit breaker, and alarms of the service."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch

from infra.local.emulator.ecs import history

Service = dict[str, Any]
Deployment = dict[str, Any]
Event = Callable[[Service, str], None]

CIRCUIT_BREAKER = "ECS deployment circuit breaker: tasks failed to start."
MINUTE = 60.0


def begin(service: Service, deployment: Deployment) -> None:
    """An alarm that is in ALARM already when a deployment starts is ignored, as ECS does."""
    deployment["_ignored"] = [name for name in _alarm_names(service) if _in_alarm(name)]


def observe(service: Service, primary: Deployment) -> None:
    """Write down what the monitors of the newest service deployment see."""
    record = history.current(service)
    if not record:
        return
    on = bool(_breaker(service).get("enable"))
    state = "MONITORING" if record["status"] == "IN_PROGRESS" else "MONITORING_COMPLETE"
    target = next((d for d in service["deployments"] if d.get("_revision") == record["targetServiceRevisionArn"]), None)
    if target:
        record["_failures"] = target.get("_row", 0)
    record["deploymentCircuitBreaker"] = {
        "status": ("TRIGGERED" if record.get("_cause") == CIRCUIT_BREAKER else state) if on else "DISABLED",
        "failureCount": record.get("_failures", 0),
        "threshold": _threshold(service),
    }
    names = _alarm_names(service)
    if names:
        triggered = _triggered(service, primary) if record["status"] == "IN_PROGRESS" else record.get("_alarms", [])
        record["alarms"] = {
            "status": "TRIGGERED" if triggered else state,
            "alarmNames": names,
            "triggeredAlarmNames": triggered,
        }


def broken(service: Service, primary: Deployment) -> str:
    """Why a deployment has failed; empty while it has not."""
    if _breaker(service).get("enable") and primary.get("_row", 0) >= _threshold(service):
        return CIRCUIT_BREAKER
    if _triggered(service, primary):
        return "ECS deployment failed: alarm(s) detected."
    return ""


def baked(service: Service, primary: Deployment) -> bool:
    """Whether a deployment whose tasks are healthy was watched for long enough: `bakeTimeInMinutes`, or the longest
    time that one of its alarms looks back.
    """
    names = _alarm_names(service)
    minutes = (service["deploymentConfiguration"] or {}).get("bakeTimeInMinutes")
    alarms = [cloudwatch._alarms[name] for name in names if name in cloudwatch._alarms]
    looking_back = max([float(a.get("Period") or 60) * int(a.get("EvaluationPeriods") or 1) for a in alarms] or [0.0])
    bake = minutes * MINUTE if minutes else looking_back
    primary.setdefault("_steady_since", time.monotonic())
    return bool(time.monotonic() - primary["_steady_since"] >= bake)


def fail(service: Service, primary: Deployment, reason: str, event: Event, *, rollback: bool | None = None) -> None:
    """End a deployment, and put the last one that completed in its place where that is wanted and there is one."""
    primary["rolloutState"], primary["rolloutStateReason"] = "FAILED", reason
    event(service, f"deployment {primary['id']} deployment failed: {reason.partition(': ')[2] or reason}")
    record = history.current(service)
    if record:
        # The last failure is counted here too: the deployment may be gone when it is next looked at.
        record |= {"_cause": reason, "_alarms": _triggered(service, primary), "_failures": primary.get("_row", 0)}
    wanted = _wants_rollback(service, reason) if rollback is None else rollback
    good = next((d for d in service["deployments"][1:] if d.get("_completed")), None)
    if not wanted:
        history.finish(service, "STOPPED", reason)
    elif good is None:
        history.finish(service, "ROLLBACK_FAILED", f"{reason} No service revision that it could be rolled back to.")
    else:
        history.roll_back(service, reason, good)
        _restore(service, primary, good, reason, event)


def _restore(service: Service, primary: Deployment, good: Deployment, reason: str, event: Event) -> None:
    primary["status"], good["status"] = "ACTIVE", "PRIMARY"
    good["rolloutState"] = "IN_PROGRESS"
    good["rolloutStateReason"] = f"{reason.partition(':')[0]}: rolling back to deploymentId {good['id']}."
    good["desiredCount"] = service["desiredCount"]
    good["_row"] = 0
    service["taskDefinition"] = good["taskDefinition"]
    service["deployments"].remove(good)
    service["deployments"].insert(0, good)
    event(service, f"rolling back to deployment {good['id']}.")


def _breaker(service: Service) -> dict[str, Any]:
    return (service["deploymentConfiguration"] or {}).get("deploymentCircuitBreaker") or {}


def _threshold(service: Service) -> int:
    """ECS's: half of the desired count, at least 3 and at most 200 failures in a row."""
    return min(200, max(3, math.ceil(int(service["desiredCount"]) / 2)))


def _alarms(service: Service) -> dict[str, Any]:
    return (service["deploymentConfiguration"] or {}).get("alarms") or {}


def _alarm_names(service: Service) -> list[str]:
    return list(_alarms(service).get("alarmNames") or []) if _alarms(service).get("enable") else []


def _triggered(service: Service, primary: Deployment) -> list[str]:
    return [name for name in _alarm_names(service) if name not in primary.get("_ignored", []) and _in_alarm(name)]


def _in_alarm(name: str) -> bool:
    alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name) or {}
    return bool(alarm.get("StateValue") == "ALARM")


def _wants_rollback(service: Service, reason: str) -> bool:
    return bool((_breaker(service) if reason == CIRCUIT_BREAKER else _alarms(service)).get("rollback"))
