"""Creates the ECS service of a process of the app, with its autoscaling: what web and worker services share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.autoscaling import ServiceAutoscaling, ServiceAutoscalingArgs, TargetTracking
from slipway.components.ecs_service import SpotCapacity, create_ecs_service, metrics_tags
from slipway.components.outputs import TaskDefinitionOutputs, TaskPlacement
from slipway.components.task_definition import FargateTaskDefinitionArgs


@dataclass(frozen=True, kw_only=True)
class ProcessServiceArgs:
    """Inputs that `WebService` and `WorkerService` share."""

    place: TaskPlacement
    label: str
    """Process name, which begins the names of its alarms."""
    task: FargateTaskDefinitionArgs
    """Of a web service, the first container serves on its port."""
    tasks: int = 1
    max_tasks: int = 1
    """If it exceeds `tasks`, autoscaling sets the number of running tasks: by CPU and requests, or by the queue."""
    metrics_port: int | None = None
    """Port with metrics for Prometheus; None: none."""
    spot: SpotCapacity | None = None
    """Fargate Spot, at about a third of the price; another worker repeats an interrupted job. None: on demand."""
    hooks: pulumi.ResourceHookBinding | None = None
    """Hooks that run before the service changes."""
    depends_on: Sequence[pulumi.Resource] = ()
    """Resources that must change before the service: the release run."""


def create_process_service(
    name: str,
    args: ProcessServiceArgs,
    *,
    task: TaskDefinitionOutputs,
    security_group_id: pulumi.Input[str],
    depends_on: Sequence[pulumi.Resource],
    scaling_targets: Callable[[aws.ecs.Service], Mapping[str, TargetTracking]],
    parent: pulumi.Resource,
    load_balancers: Sequence[aws.ecs.ServiceLoadBalancerArgsDict] | None = None,
    health_check_grace_seconds: int | None = None,
    rollback_alarm_names: Sequence[pulumi.Input[str]] = (),
) -> aws.ecs.Service:
    """Creates the service, and its autoscaling if `max_tasks` exceeds `tasks`.

    `depends_on`: resources in addition to those of `args`. `scaling_targets`: returns label -> target of the service.
    """
    is_autoscaled = args.max_tasks > args.tasks
    service = create_ecs_service(
        name,
        place=args.place,
        task=task,
        security_group_id=security_group_id,
        tasks=args.tasks,
        is_autoscaled=is_autoscaled,
        spot=args.spot,
        depends_on=[*depends_on, *args.depends_on],
        parent=parent,
        hooks=args.hooks,
        tags=metrics_tags(args.label, args.metrics_port),
        load_balancers=load_balancers,
        health_check_grace_seconds=health_check_grace_seconds,
        rollback_alarm_names=rollback_alarm_names,
    )
    if is_autoscaled:
        ServiceAutoscaling(
            name,
            ServiceAutoscalingArgs(
                cluster_name=args.place.cluster.name,
                service_name=service.name,
                min_tasks=args.tasks,
                max_tasks=args.max_tasks,
                targets=scaling_targets(service),
            ),
            opts=pulumi.ResourceOptions(parent=parent),
        )
    return service
