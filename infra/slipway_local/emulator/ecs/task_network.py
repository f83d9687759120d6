"""The network of a task by its own service revision: security groups, subnets and registered targets.

A service's present settings are those of its newest revision, and an older task is never judged by them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from ministack.services import alb, ecs

from slipway_local.emulator.alb.target_health import deregistration_delay, health_checker
from slipway_local.emulator.firewall import refresh_firewall

Task = dict[str, Any]
Target = tuple[str, str, int]
"""Target group ARN, address, port."""


def wrap_run_task(original: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Returns RunTask that keeps the network which a task was asked for with; ministack keeps one subnet of it."""

    def run_task(data: dict[str, Any]) -> Any:
        status, headers, body = original(data)
        if status < 400:
            network = (data.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
            for started in json.loads(body)["tasks"]:
                task = ecs._tasks[started["taskArn"]]
                task["_network"] = copy.deepcopy(network)
                task["_load_balancers"] = copy.deepcopy(data.get("_loadBalancers") or [])
        return status, headers, body

    return run_task


def attach_network_interface(task: Task, container: Any) -> None:
    """Records the address of a task's network namespace as its network interface, and lets the firewall know of it."""
    container.reload()
    networks: dict[str, dict[str, str]] = container.attrs["NetworkSettings"]["Networks"]
    address = next((network["IPAddress"] for network in networks.values()), "")
    details = [{"name": "privateIPv4Address", "value": address}]
    if task.get("_subnet"):
        details.insert(0, {"name": "subnetId", "value": task["_subnet"]})
    task["attachments"] = [
        {"id": ecs.new_uuid(), "type": "ElasticNetworkInterface", "status": "ATTACHED", "details": details}
    ]
    for record in task["containers"]:
        record["networkInterfaces"] = [{"attachmentId": ecs.new_uuid(), "privateIpv4Address": address}]
    refresh_firewall()


def list_targets(task: Task) -> list[Target]:
    """Returns each target that a task is; empty before it has an address."""
    address = ecs._task_ip(task)
    return [
        (balancer["targetGroupArn"], address, int(balancer["containerPort"]))
        for balancer in task.get("_load_balancers") or []
        if address and balancer.get("targetGroupArn") in alb._tgs
    ]


def register_targets(task: Task) -> None:
    """Puts a task into its target groups."""
    for arn, address, port in list_targets(task):
        alb.set_targets_for_group(arn, [(address, port)])


def deregister_targets(task: Task) -> float:
    """Takes a task out of its target groups, and returns the seconds that AWS lets its requests drain."""
    delay = 0.0
    for arn, address, port in list_targets(task):
        alb.set_targets_for_group(arn, [], previous_ids=[address])
        health_checker.drain(arn, address, port)
        delay = max(delay, deregistration_delay(arn))
    return delay
