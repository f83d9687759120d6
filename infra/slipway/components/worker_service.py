"""A worker: an ECS service without a load balancer, such as a consumer of the queue."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.autoscaling import backlog_target
from slipway.components.cloudwatch_alarm import Alarm, running_tasks_alarms
from slipway.components.outputs import TaskDefinitionOutputs
from slipway.components.process_service import ProcessServiceArgs, create_process_service
from slipway.components.security_group import create_egress_security_group
from slipway.components.task_definition import FargateTaskDefinition
from slipway.config import constants


@dataclass(frozen=True, kw_only=True)
class WorkerServiceArgs(ProcessServiceArgs):
    """Inputs of `WorkerService`."""

    queue_name: pulumi.Input[str] = ""
    """Queue whose backlog scales it; empty for a worker without autoscaling."""


class WorkerService(pulumi.ComponentResource):
    """Creates an ECS service without a load balancer.

    Provisions: a task definition with its log group and roles, security group (ingress: none; egress: its stores and
    HTTPS), service with circuit breaker and rollback, autoscaling on the queue if `max_tasks` exceeds `tasks`.
    Costs as a web task; on Spot about 70 % less.
    """

    task: TaskDefinitionOutputs
    service: aws.ecs.Service
    service_name: pulumi.Output[str]
    service_arn: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    alarms: list[Alarm]

    def __init__(self, name: str, args: WorkerServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:ecs:WorkerService", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        task = FargateTaskDefinition(name, args.task, opts=child).outputs
        group, rules = create_egress_security_group(
            name,
            f"{args.label} tasks",
            vpc_id=args.place.network.vpc_id,
            stores=args.place.stores,
            parent=self,
        )
        service = create_process_service(
            name,
            args,
            task=task,
            security_group_id=group.id,
            depends_on=rules,
            scaling_targets=lambda service: {
                "backlog": backlog_target(
                    constants.JOBS_PER_WORKER_TASK, args.queue_name, args.place.cluster.name, service.name
                )
            },
            parent=self,
        )
        self.security_group_id = group.id
        self.task = task
        self.service = service
        self.service_name = service.name
        self.service_arn = service.id
        self.alarms = running_tasks_alarms(args.label, args.place.cluster, service.name, args.tasks)
        self.register_outputs({"serviceName": self.service_name})
