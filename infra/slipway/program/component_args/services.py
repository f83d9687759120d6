"""Arguments of the repository, cluster, task definitions and Fargate Spot."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from slipway.components.ecr_repository import EcrRepositoryArgs
from slipway.components.ecs_cluster import EcsClusterArgs
from slipway.components.ecs_exec import exec_statements
from slipway.components.ecs_service import SpotCapacity
from slipway.components.iam_roles import Statement
from slipway.components.outputs import EnvironmentOutputs
from slipway.components.target_group import HealthCheckLimits
from slipway.components.task_definition import ContainerDefinition, FargateTaskDefinitionArgs
from slipway.config.app_spec.health import HealthSpec
from slipway.config.app_spec.process import ProcessSpec
from slipway.config.settings import Settings
from slipway.program.stack_context import StackContext


def ecr_repository_args(settings: Settings, *, key_arn: pulumi.Input[str]) -> EcrRepositoryArgs:
    """Returns the arguments of the image repository."""
    return EcrRepositoryArgs(key_arn=key_arn, force_delete=not settings.protect)


def ecs_cluster_args(settings: Settings, *, key_arn: pulumi.Input[str]) -> EcsClusterArgs:
    """Returns the arguments of the cluster."""
    return EcsClusterArgs(
        key_arn=key_arn,
        container_insights=settings.container_insights,
        log_retention_days=settings.log_retention_days,
        exec=settings.exec_enabled,
    )


def task_definition_args(
    context: StackContext,
    environment_outputs: EnvironmentOutputs,
    *,
    containers: Sequence[ContainerDefinition],
    cpu: int,
    memory: int,
    statements: Sequence[Statement] = (),
    has_exec: bool = True,
) -> FargateTaskDefinitionArgs:
    """Returns the arguments of a task of the app's code: `cpu` in CPU units, `memory` in MiB.

    `has_exec`: whether ECS Exec may reach it where the setting `exec` is on.
    """
    settings = context.settings
    has_exec = has_exec and settings.exec_enabled
    if has_exec:
        statements = [*statements, *exec_statements(environment_outputs.cluster, environment_outputs.key_arn)]
    return FargateTaskDefinitionArgs(
        containers=containers,
        repository_arn=environment_outputs.registry.arn,
        key_arn=environment_outputs.key_arn,
        statements=statements,
        cpu=cpu,
        memory=memory,
        architecture=settings.architecture,
        log_retention_days=settings.log_retention_days,
        stop_timeout=context.deploy_profile.stop_timeout,
        has_exec=has_exec,
    )


def spot_capacity(process: ProcessSpec) -> SpotCapacity | None:
    """Returns the share of a process's tasks on Fargate Spot; None for on-demand only."""
    strategy = process.spot_strategy
    return SpotCapacity(base=strategy.base, weight=strategy.weight) if strategy else None


def health_check_limits(health: HealthSpec) -> HealthCheckLimits:
    """Returns when the load balancer calls a task of a process unhealthy."""
    return HealthCheckLimits(
        interval=health.interval,
        timeout=health.timeout,
        unhealthy_threshold=health.failures,
        statuses=health.statuses,
    )
