"""What every ECS service of a stack has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.app_process import Spot
from infra.foundation import Place, TaskFacts


def ecs_service(
    name: str,
    *,
    place: Place,
    task: TaskFacts,
    security_group_id: pulumi.Input[str],
    tasks: int,
    scaled: bool,
    after: Sequence[pulumi.Resource],
    parent: pulumi.Resource,
    spot: Spot | None = None,
    hooks: pulumi.ResourceHookBinding | None = None,
    one_at_a_time: bool = False,
    **more: Any,
) -> aws.ecs.Service:
    """A service that never runs less than it should and rolls a bad revision back.

    The engine does not wait for it: who made it follows its rollout (docs/decisions/releases.md).

    `one_at_a_time`: the old task ends before the new one starts.
    `scaled`: autoscaling decides how many tasks run; `tasks` is what it begins with, and no update takes it back.
    """
    return aws.ecs.Service(
        name,
        cluster=place.cluster.arn,
        task_definition=task.arn,
        desired_count=tasks,
        capacity_provider_strategies=_strategies(spot),
        # Else the provider makes the service anew where the strategy changes. An update of whatever else is a rollout
        # of its own then, too.
        force_new_deployment=True,
        platform_version="LATEST",  # ECS.10
        network_configuration={
            "subnets": place.network.private_subnet_ids,
            "security_groups": [security_group_id],
            "assign_public_ip": False,  # ECS.2
        },
        deployment_circuit_breaker={"enable": True, "rollback": True},
        deployment_minimum_healthy_percent=0 if one_at_a_time else 100,
        deployment_maximum_percent=100 if one_at_a_time else 200,
        enable_ecs_managed_tags=True,
        propagate_tags="SERVICE",
        wait_for_steady_state=False,
        **more,
        opts=pulumi.ResourceOptions(
            parent=parent,
            # Policies too: tasks that drain still use theirs, and the migration reads its secret at once. And a way
            # to the registry.
            depends_on=[*task.ready, *place.cluster.ready, *place.network.ready, *after],
            hooks=hooks,
            ignore_changes=["desiredCount"] if scaled else None,
            custom_timeouts=pulumi.CustomTimeouts(create="15m", update="15m", delete="10m"),
        ),
    )


def metrics_tags(process: str, port: int | None) -> dict[str, str]:
    """What Prometheus finds a service's tasks by, and calls them by; none where nobody answers it."""
    return {"process": process, "metrics": str(port)} if port else {}


def _strategies(spot: Spot | None) -> list[aws.ecs.ServiceCapacityProviderStrategyArgsDict]:
    if spot is None:
        return [{"capacity_provider": "FARGATE", "weight": 1}]
    on_spot: aws.ecs.ServiceCapacityProviderStrategyArgsDict = {
        "capacity_provider": "FARGATE_SPOT",
        "weight": spot.weight or 1,
    }
    if not spot.base and not spot.weight:
        return [on_spot]
    return [{"capacity_provider": "FARGATE", "base": spot.base, "weight": 1 if spot.weight else 0}, on_spot]
