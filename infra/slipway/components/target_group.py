"""A target group of the load balancer, with its health check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.outputs import TaskPlacement
from slipway.config import constants, names


@dataclass(frozen=True)
class HealthCheckLimits:
    """When the load balancer calls a target unhealthy."""

    interval: int = constants.HEALTH_INTERVAL_SECONDS
    """Seconds, 5 to 300."""
    timeout: int = constants.HEALTH_TIMEOUT_SECONDS
    """Seconds to answer, below the interval."""
    unhealthy_threshold: int = constants.UNHEALTHY_THRESHOLD
    """Failures in a row, 2 to 10."""
    statuses: str = constants.HEALTHY_STATUSES
    """Healthy status codes, such as `200-399`."""


DEFAULT_LIMITS = HealthCheckLimits()


def create_target_group(
    name: str,
    place: TaskPlacement,
    health_path: str,
    rollout: constants.DeployProfile,
    *,
    limits: HealthCheckLimits,
    parent: pulumi.Resource,
    hooks: pulumi.ResourceHookBinding | None = None,
    ignore_changes: Sequence[str] = (),
) -> aws.lb.TargetGroup:
    """Creates the target group of a service. `hooks` run before it changes.

    `ignore_changes`: inputs that something else changes later.
    """
    return aws.lb.TargetGroup(
        names.truncate_name(name),
        vpc_id=place.network.vpc_id,
        target_type="ip",
        port=constants.TARGET_GROUP_PORT,
        protocol="HTTP",
        deregistration_delay=rollout.deregistration_delay,
        health_check={
            "path": health_path,
            "interval": limits.interval,
            "timeout": limits.timeout,
            "healthy_threshold": constants.HEALTHY_THRESHOLD,
            "unhealthy_threshold": limits.unhealthy_threshold,
            "matcher": limits.statuses,
        },
        opts=pulumi.ResourceOptions(parent=parent, hooks=hooks, ignore_changes=list(ignore_changes) or None),
    )
