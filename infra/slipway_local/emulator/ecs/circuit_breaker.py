"""The deployment circuit breaker and deployment alarms: when a deployment fails, and its rollback."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch

from slipway_local.emulator.ecs import service_deployments

Service = dict[str, Any]
Deployment = dict[str, Any]
EventLogger = Callable[[Service, str], None]

CIRCUIT_BREAKER_REASON = "ECS deployment circuit breaker: tasks failed to start."
MINUTE = 60.0


def ignore_active_alarms(service: Service, deployment: Deployment) -> None:
    """Ignore alarms that are in ALARM already when a deployment starts, as ECS does."""
    deployment["_ignored"] = [name for name in _alarm_names(service) if _is_in_alarm(name)]


def record_monitors(service: Service, primary: Deployment) -> None:
    """Writes down what the monitors of the newest service deployment see."""
    record = service_deployments.current_deployment(service)
    if not record:
        return
    is_enabled = bool(_circuit_breaker_config(service).get("enable"))
    state = "MONITORING" if record["status"] == "IN_PROGRESS" else "MONITORING_COMPLETE"
    target = next((d for d in service["deployments"] if d.get("_revision") == record["targetServiceRevisionArn"]), None)
    if target:
        record["_failures"] = target.get("_consecutive_failures", 0)
    record["deploymentCircuitBreaker"] = {
        "status": ("TRIGGERED" if record.get("_cause") == CIRCUIT_BREAKER_REASON else state)
        if is_enabled
        else "DISABLED",
        "failureCount": record.get("_failures", 0),
        "threshold": _failure_threshold(service),
    }
    alarm_names = _alarm_names(service)
    if alarm_names:
        triggered = (
            _triggered_alarms(service, primary) if record["status"] == "IN_PROGRESS" else record.get("_alarms", [])
        )
        record["alarms"] = {
            "status": "TRIGGERED" if triggered else state,
            "alarmNames": alarm_names,
            "triggeredAlarmNames": triggered,
        }


def failure_reason(service: Service, primary: Deployment) -> str:
    """Returns why a deployment has failed; empty while it has not."""
    if _circuit_breaker_config(service).get("enable") and primary.get("_consecutive_failures", 0) >= _failure_threshold(
        service
    ):
        return CIRCUIT_BREAKER_REASON
    if _triggered_alarms(service, primary):
        return "ECS deployment failed: alarm(s) detected."
    return ""


def is_bake_time_over(service: Service, primary: Deployment) -> bool:
    """Whether a deployment whose tasks are healthy was watched for long enough: `bakeTimeInMinutes`, or the longest
    time that one of its alarms looks back.
    """
    alarm_names = _alarm_names(service)
    minutes = (service["deploymentConfiguration"] or {}).get("bakeTimeInMinutes")
    alarms = [cloudwatch._alarms[name] for name in alarm_names if name in cloudwatch._alarms]
    longest_alarm_seconds = max(
        [float(a.get("Period") or 60) * int(a.get("EvaluationPeriods") or 1) for a in alarms] or [0.0]
    )
    bake_seconds = minutes * MINUTE if minutes else longest_alarm_seconds
    primary.setdefault("_steady_since", time.monotonic())
    return bool(time.monotonic() - primary["_steady_since"] >= bake_seconds)


def fail_deployment(
    service: Service, primary: Deployment, reason: str, event: EventLogger, *, rollback: bool | None = None
) -> None:
    """End a deployment, and put the last one that completed in its place where that is wanted and there is one."""
    primary["rolloutState"] = "FAILED"
    primary["rolloutStateReason"] = reason
    event(service, f"deployment {primary['id']} deployment failed: {reason.partition(': ')[2] or reason}")
    record = service_deployments.current_deployment(service)
    if record:
        # The last failure is counted here too: the deployment may be gone when it is next looked at.
        record |= {
            "_cause": reason,
            "_alarms": _triggered_alarms(service, primary),
            "_failures": primary.get("_consecutive_failures", 0),
        }
    should_roll_back = _should_roll_back(service, reason) if rollback is None else rollback
    last_completed = next((d for d in service["deployments"][1:] if d.get("_completed")), None)
    if not should_roll_back:
        service_deployments.finish_deployment(service, "STOPPED", reason)
    elif last_completed is None:
        service_deployments.finish_deployment(
            service, "ROLLBACK_FAILED", f"{reason} No service revision that it could be rolled back to."
        )
    else:
        service_deployments.start_rollback(service, reason, last_completed)
        _restore_deployment(service, primary, last_completed, reason, event)


def _restore_deployment(
    service: Service, primary: Deployment, last_completed: Deployment, reason: str, event: EventLogger
) -> None:
    primary["status"] = "ACTIVE"
    last_completed["status"] = "PRIMARY"
    last_completed["rolloutState"] = "IN_PROGRESS"
    last_completed["rolloutStateReason"] = (
        f"{reason.partition(':')[0]}: rolling back to deploymentId {last_completed['id']}."
    )
    last_completed["desiredCount"] = service["desiredCount"]
    last_completed["_consecutive_failures"] = 0
    service_deployments.restore_revision(service, last_completed)
    service["deployments"].remove(last_completed)
    service["deployments"].insert(0, last_completed)
    event(service, f"rolling back to deployment {last_completed['id']}.")


def _circuit_breaker_config(service: Service) -> dict[str, Any]:
    return (service["deploymentConfiguration"] or {}).get("deploymentCircuitBreaker") or {}


def _failure_threshold(service: Service) -> int:
    """ECS's: half of the desired count, at least 3 and at most 200 failures in a row."""
    return min(200, max(3, math.ceil(int(service["desiredCount"]) / 2)))


def _alarm_config(service: Service) -> dict[str, Any]:
    return (service["deploymentConfiguration"] or {}).get("alarms") or {}


def _alarm_names(service: Service) -> list[str]:
    return list(_alarm_config(service).get("alarmNames") or []) if _alarm_config(service).get("enable") else []


def _triggered_alarms(service: Service, primary: Deployment) -> list[str]:
    return [name for name in _alarm_names(service) if name not in primary.get("_ignored", []) and _is_in_alarm(name)]


def _is_in_alarm(name: str) -> bool:
    alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name) or {}
    return bool(alarm.get("StateValue") == "ALARM")


def _should_roll_back(service: Service, reason: str) -> bool:
    return bool(
        (_circuit_breaker_config(service) if reason == CIRCUIT_BREAKER_REASON else _alarm_config(service)).get(
            "rollback"
        )
    )
