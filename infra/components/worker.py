"""The worker: the app's image taking jobs from the queue, on Fargate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from infra import contract
from infra.components.alarm import Alarm, too_few_tasks
from infra.components.queue import Queue
from infra.components.scaling import Scaling, ScalingArgs, backlog_target
from infra.components.security_group import reaching_group
from infra.components.service import Place, ecs_service
from infra.components.task import Task, TaskArgs
from infra.settings import Settings


@dataclass(frozen=True)
class WorkerArgs:
    """Inputs of `Worker`."""

    place: Place
    queue: Queue
    task: TaskArgs
    tasks: int = 1
    max_tasks: int = 1
    """Where it is more than `tasks`, the queue decides how many run."""
    spot: bool = True
    """On Fargate Spot, at about a third of the price: a job that is cut off is another worker's."""
    after: Sequence[pulumi.Resource] = ()
    """What has to be there first: the web service, whose creation migrates the database."""

    @classmethod
    def of(
        cls, settings: Settings, *, place: Place, queue: Queue, task: TaskArgs, after: Sequence[pulumi.Resource]
    ) -> WorkerArgs:
        """As a stack's settings have it."""
        return cls(place, queue, task, settings.worker_tasks, settings.worker_max_tasks, after=after)


class Worker(pulumi.ComponentResource):
    """An ECS service without a load balancer that runs Celery.

    Provisions: a task definition with its log group and roles, security group (in: nothing; out: its stores and
    HTTPS), service with circuit breaker and rollback, autoscaling on the queue where `max_tasks` is more than `tasks`.
    Costs as a web task; on Spot about 70 % less.
    """

    task: Task
    service_name: pulumi.Output[str]
    service_arn: pulumi.Output[str]
    alarms: list[Alarm]

    def __init__(self, name: str, args: WorkerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:worker:Worker", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.task = task = Task(f"{name}-worker", "worker", args.task.but(command=contract.WORKER_COMMAND), opts=child)
        group, rules = reaching_group(
            f"{name}-worker", "Worker tasks", vpc_id=args.place.network.vpc_id, stores=args.place.stores, parent=self
        )
        scaled = args.max_tasks > args.tasks
        provider = "FARGATE_SPOT" if args.spot else "FARGATE"
        service = ecs_service(
            f"{name}-worker",
            place=args.place,
            task=task,
            security_group_id=group.id,
            tasks=args.tasks,
            scaled=scaled,
            after=[*rules, *args.after],
            parent=self,
            capacity_provider_strategies=[{"capacity_provider": provider, "weight": 1}],
        )
        if scaled:
            backlog = backlog_target(
                contract.JOBS_PER_WORKER_TASK, args.queue.name, args.place.cluster.name, service.name
            )
            Scaling(
                f"{name}-worker",
                ScalingArgs(
                    cluster_name=args.place.cluster.name,
                    service_name=service.name,
                    least=args.tasks,
                    most=args.max_tasks,
                    targets={"backlog": backlog},
                ),
                opts=child,
            )
        self.service_name, self.service_arn = service.name, service.id
        self.alarms = too_few_tasks("worker", args.place.cluster, service.name, args.tasks)
        self.register_outputs({"serviceName": self.service_name})
