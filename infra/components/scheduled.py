"""A task of the app's image that runs by the clock."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.components.queue import Queue
from infra.components.roles import ECS_TASKS, service_role
from infra.components.security_group import reaching_group
from infra.components.service import Place
from infra.components.task import Task, TaskArgs

TRIES = 3
TRY_SECONDS = 3600
"""A run that cannot be started within an hour is a dead letter."""


@dataclass(frozen=True)
class ScheduledArgs:
    """Inputs of `Scheduled`."""

    place: Place
    queue: Queue
    """Its dead-letter queue gets what could not be started."""
    label: str
    """What the container is called."""
    task: TaskArgs
    schedule: str
    """`cron(30 3 * * ? *)` or `rate(1 day)`, in UTC."""


class Scheduled(pulumi.ComponentResource):
    """An EventBridge schedule that runs a one-off task on Fargate.

    Provisions: a task definition with its log group and roles, security group (in: nothing; out: its stores and
    HTTPS), the schedule and the role that lets it start this one task. Costs as a web task, for the minutes it runs.
    """

    task: Task
    schedule_arn: pulumi.Output[str]
    role_arn: pulumi.Output[str]
    """What the scheduler takes on to start the task."""

    def __init__(self, name: str, args: ScheduledArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:scheduled:Scheduled", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.task = task = Task(name, args.label, args.task, opts=child)
        group, rules = reaching_group(
            name, "Scheduled tasks", vpc_id=args.place.network.vpc_id, stores=args.place.stores, parent=self
        )
        role, granted = service_role(
            f"{name}-scheduler",
            "scheduler.amazonaws.com",
            [
                {
                    "Effect": "Allow",
                    "Action": "ecs:RunTask",
                    # Of any revision: the role need not change with each release.
                    "Resource": pulumi.Output.format("{0}:*", task.family_arn),
                    "Condition": {"ArnEquals": {"ecs:cluster": args.place.cluster.arn}},
                },
                {
                    "Effect": "Allow",
                    "Action": "iam:PassRole",
                    "Resource": task.role_arns,
                    "Condition": {"StringEquals": {"iam:PassedToService": ECS_TASKS}},
                },
                {
                    "Effect": "Allow",  # the task gets its definition's tags
                    "Action": "ecs:TagResource",
                    "Resource": pulumi.Output.format("{0}/*", args.place.cluster.task_arn),
                    "Condition": {"StringEquals": {"ecs:CreateAction": "RunTask"}},
                },
                {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": args.queue.dead_arn},
            ],
            parent=self,
        )
        schedule = aws.scheduler.Schedule(
            f"{name}-schedule",
            schedule_expression=args.schedule,
            schedule_expression_timezone="UTC",
            flexible_time_window={"mode": "OFF"},
            target={
                "arn": args.place.cluster.arn,
                "role_arn": role.arn,
                "ecs_parameters": {
                    "task_definition_arn": task.arn,
                    "launch_type": "FARGATE",
                    "task_count": 1,
                    "propagate_tags": "TASK_DEFINITION",
                    "network_configuration": {
                        "subnets": args.place.network.private_subnet_ids,
                        "security_groups": [group.id],
                        "assign_public_ip": False,
                    },
                },
                "retry_policy": {"maximum_retry_attempts": TRIES, "maximum_event_age_in_seconds": TRY_SECONDS},
                "dead_letter_config": {"arn": args.queue.dead_arn},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*task.ready, *rules, *granted]),
        )
        self.schedule_arn, self.role_arn = schedule.arn, role.arn
        self.register_outputs({})
