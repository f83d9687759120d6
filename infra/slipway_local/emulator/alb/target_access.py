"""Decides by security groups whether a load balancer may reach a target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ministack.services import alb, ecs

from slipway_local.emulator.security_groups import ConnectionEnd, is_connection_allowed, load_balancer_end, task_end


def may_connect(balancer: dict[str, Any], address: str, port: int) -> bool:
    """Returns whether a load balancer may open a connection to a port of a target."""
    target = _find_target_end(address)
    return target is None or is_connection_allowed(load_balancer_end(balancer), target, port)


def may_be_checked(target_group: dict[str, Any], address: str, port: int) -> bool:
    """Returns whether one of the load balancers that forward to a target group may reach a target of it."""
    balancers = list(_forwarding_load_balancers(target_group["TargetGroupArn"]))
    return not balancers or any(may_connect(balancer, address, port) for balancer in balancers)


def _find_target_end(address: str) -> ConnectionEnd | None:
    """Returns the task that has an address; None for a target that is no task: nothing is known of its groups."""
    for _, task in list(ecs._tasks.all_items()):
        if task["lastStatus"] != "STOPPED" and ecs._task_ip(task) == address:
            return task_end(task)
    return None


def _forwarding_load_balancers(target_group_arn: str) -> Iterator[dict[str, Any]]:
    listeners = {arn: listener for (_, _, arn), listener in list(alb._listeners.all_items())}
    using = {
        listener["LoadBalancerArn"]
        for listener in listeners.values()
        if _forwards_to(listener.get("DefaultActions") or [], target_group_arn)
    }
    for _, rule in list(alb._rules.all_items()):
        listener = listeners.get(rule.get("ListenerArn", ""))
        if listener and _forwards_to(rule.get("Actions") or [], target_group_arn):
            using.add(listener["LoadBalancerArn"])
    for (_, _, arn), balancer in list(alb._lbs.all_items()):
        if arn in using:
            yield balancer


def _forwards_to(actions: list[dict[str, Any]], target_group_arn: str) -> bool:
    for action in actions:
        weighted = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
        if target_group_arn in (action.get("TargetGroupArn"), *(group.get("TargetGroupArn") for group in weighted)):
            return True
    return False
