"""A process that serves nobody and runs all the time, such as one that takes jobs from the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.app_process import Spot
from infra.components.alarm import Alarm, too_few_tasks
from infra.components.scaling import Scaling, ScalingArgs, backlog_target
from infra.components.security_group import reaching_group
from infra.components.service import ecs_service, metrics_tags
from infra.components.task import Task, TaskArgs
from infra.foundation import Place, TaskFacts


@dataclass(frozen=True)
class WorkerArgs:
    """Inputs of `Worker`."""

    place: Place
    label: str
    """What the process is called: the name of its alarm."""
    task: TaskArgs
    tasks: int = 1
    max_tasks: int = 1
    """Where it is more than `tasks`, the queue decides how many run."""
    queue_name: pulumi.Input[str] = ""
    """The queue that it takes jobs from; empty for a worker that cannot scale."""
    metrics_port: int | None = None
    """Where its tasks answer Prometheus; None: nowhere."""
    spot: Spot | None = None
    """On Fargate Spot, at about a third of the price: a job that is cut off is another worker's."""
    hooks: pulumi.ResourceHookBinding | None = None
    """What has to hold before the service changes."""
    after: Sequence[pulumi.Resource] = ()
    """What those need."""


class Worker(pulumi.ComponentResource):
    """An ECS service without a load balancer.

    Provisions: a task definition with its log group and roles, security group (in: nothing; out: its stores and
    HTTPS), service with circuit breaker and rollback, autoscaling on the queue where `max_tasks` is more than `tasks`.
    Costs as a web task; on Spot about 70 % less.
    """

    task: TaskFacts
    service: aws.ecs.Service
    service_name: pulumi.Output[str]
    service_arn: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    alarms: list[Alarm]

    def __init__(self, name: str, args: WorkerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:worker:Worker", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.task = task = Task(name, args.task, opts=child).facts
        group, rules = reaching_group(
            name,
            f"{args.label} tasks",
            vpc_id=args.place.network.vpc_id,
            stores=args.place.stores,
            parent=self,
        )
        scaled = args.max_tasks > args.tasks
        service = ecs_service(
            name,
            place=args.place,
            task=task,
            security_group_id=group.id,
            tasks=args.tasks,
            scaled=scaled,
            spot=args.spot,
            after=[*rules, *args.after],
            parent=self,
            hooks=args.hooks,
            tags=metrics_tags(args.label, args.metrics_port),
        )
        if scaled:
            backlog = backlog_target(
                contract.JOBS_PER_WORKER_TASK, args.queue_name, args.place.cluster.name, service.name
            )
            Scaling(
                name,
                ScalingArgs(
                    cluster_name=args.place.cluster.name,
                    service_name=service.name,
                    least=args.tasks,
                    most=args.max_tasks,
                    targets={"backlog": backlog},
                ),
                opts=child,
            )
        self.security_group_id = group.id
        self.service, self.service_name, self.service_arn = service, service.name, service.id
        self.alarms = too_few_tasks(args.label, args.place.cluster, service.name, args.tasks)
        self.register_outputs({"serviceName": self.service_name})
