"""Creates an ECS service on Fargate with the properties that all services of a stack share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.outputs import TaskDefinitionOutputs, TaskPlacement


@dataclass(frozen=True)
class SpotCapacity:
    """Shares of a service's tasks on Fargate Spot and on demand."""

    base: int = 0
    """Number of tasks that always run on demand."""
    weight: int = 0
    """Beyond `base`, number of Spot tasks for each one on demand; 0: all of them."""


def create_ecs_service(
    name: str,
    *,
    place: TaskPlacement,
    task: TaskDefinitionOutputs,
    security_group_id: pulumi.Input[str],
    tasks: int,
    is_autoscaled: bool,
    depends_on: Sequence[pulumi.Resource],
    parent: pulumi.Resource,
    spot: SpotCapacity | None = None,
    hooks: pulumi.ResourceHookBinding | None = None,
    one_at_a_time: bool = False,
    tags: Mapping[str, str] | None = None,
    load_balancers: Sequence[aws.ecs.ServiceLoadBalancerArgsDict] | None = None,
    health_check_grace_seconds: int | None = None,
    rollback_alarm_names: Sequence[pulumi.Input[str]] = (),
    service_registry_arn: pulumi.Input[str] | None = None,
) -> aws.ecs.Service:
    """Creates a service that keeps all desired tasks during a rollout, and rolls a failed deployment back.

    Pulumi does not wait for its rollout: `verify_rollout_on_every_up` follows it (docs/decisions/releases.md).

    `is_autoscaled`: autoscaling sets the number of tasks; `tasks` is the initial number, which updates do not restore.
    `one_at_a_time`: the old task stops before the new one starts.
    `rollback_alarm_names`: CloudWatch alarms that roll a deployment back.
    """
    return aws.ecs.Service(
        name,
        cluster=place.cluster.arn,
        task_definition=task.arn,
        desired_count=tasks,
        capacity_provider_strategies=_capacity_provider_strategies(spot),
        # Without it the provider replaces the service when the strategy changes. Any update is then a rollout, too.
        force_new_deployment=True,
        platform_version="LATEST",  # ECS.10
        network_configuration={
            "subnets": place.network.task_subnet_ids,
            "security_groups": [security_group_id],
            "assign_public_ip": place.network.has_public_tasks,  # ECS.2
        },
        deployment_circuit_breaker={"enable": True, "rollback": True},
        deployment_minimum_healthy_percent=0 if one_at_a_time else 100,
        deployment_maximum_percent=100 if one_at_a_time else 200,
        alarms=_rollback_alarms(rollback_alarm_names),
        load_balancers=load_balancers,
        health_check_grace_period_seconds=health_check_grace_seconds,
        service_registries={"registry_arn": service_registry_arn} if service_registry_arn else None,
        tags=tags,
        enable_ecs_managed_tags=True,
        propagate_tags="SERVICE",
        enable_execute_command=task.has_exec or None,
        wait_for_steady_state=False,
        opts=pulumi.ResourceOptions(
            parent=parent,
            # Policies too: draining tasks still use theirs, and the release task reads its secret at once. And the
            # routes to the registry.
            depends_on=[*task.ready, *place.cluster.ready, *place.network.ready, *depends_on],
            hooks=hooks,
            ignore_changes=["desiredCount"] if is_autoscaled else None,
            custom_timeouts=pulumi.CustomTimeouts(create="15m", update="15m", delete="10m"),
        ),
    )


def metrics_tags(process: str, port: int | None) -> dict[str, str]:
    """Returns the tags by which Prometheus discovers and names a service's tasks; none without a metrics port."""
    return {"process": process, "metrics": str(port)} if port else {}


def _rollback_alarms(names: Sequence[pulumi.Input[str]]) -> aws.ecs.ServiceAlarmsArgsDict | None:
    return {"enable": True, "rollback": True, "alarm_names": list(names)} if names else None


def _capacity_provider_strategies(spot: SpotCapacity | None) -> list[aws.ecs.ServiceCapacityProviderStrategyArgsDict]:
    if spot is None:
        return [{"capacity_provider": "FARGATE", "weight": 1}]
    spot_strategy: aws.ecs.ServiceCapacityProviderStrategyArgsDict = {
        "capacity_provider": "FARGATE_SPOT",
        "weight": spot.weight or 1,
    }
    if not spot.base and not spot.weight:
        return [spot_strategy]
    return [{"capacity_provider": "FARGATE", "base": spot.base, "weight": 1 if spot.weight else 0}, spot_strategy]
