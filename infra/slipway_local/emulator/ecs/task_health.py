"""Health of a service's tasks, and the service's events."""

from __future__ import annotations

import logging
import time
from typing import Any

from ministack.services import ecs

from slipway_local.emulator.alb.target_health import health_checker
from slipway_local.emulator.ecs.task_network import list_targets

log = logging.getLogger("slipway.ecs")

Service = dict[str, Any]
Task = dict[str, Any]
STEADY_SECONDS = 5.0
"""How long a task without any health check has to run before it counts as one that works."""


def is_task_healthy(task: Task) -> bool:
    """Returns whether a task runs, passes its containers' checks, and gets traffic from every target group."""
    if task["lastStatus"] != "RUNNING" or task["desiredStatus"] != "RUNNING":
        return False
    targets = list_targets(task)
    checked = any(record.get("_checked") for record in task["containers"])
    if checked and task["healthStatus"] != "HEALTHY":
        return False
    if not checked and not targets and time.monotonic() - task["_started"] < STEADY_SECONDS:
        return False
    return all(health_checker.is_healthy(arn, address, port) for arn, address, port in targets)


def unhealthy_reason(service: Service, task: Task) -> str:
    """Returns why a running task has to be replaced; empty where it need not be."""
    if task["lastStatus"] != "RUNNING":
        return ""
    if task["healthStatus"] == "UNHEALTHY":
        return "Task failed container health checks"
    if time.monotonic() - task["_started"] > float(service.get("healthCheckGracePeriodSeconds") or 0):
        for arn, address, port in list_targets(task):
            if health_checker.state(arn, address, port) == "unhealthy":
                if not task.get("_unhealthy_reason"):
                    told = f"(port {port}) is unhealthy in (target-group {arn})"
                    add_service_event(
                        service, f"{told} due to (reason {health_checker.description(arn, address, port)})"
                    )
                return f"Task failed ELB health checks in (target-group {arn})"
    return ""


def add_service_event(service: Service, message: str) -> None:
    """Adds an event to those that DescribeServices shows: the newest 100."""
    text = f"(service {service['serviceName']}) {message}"
    service["events"].insert(0, {"id": ecs.new_uuid(), "createdAt": ecs._iso(), "message": text})
    del service["events"][100:]
    log.info(text)
