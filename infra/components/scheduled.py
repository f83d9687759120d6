"""A process that runs by the clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.components.alarm import Alarm
from infra.components.queue import DEAD_LETTER_SECONDS
from infra.components.roles import ECS_TASKS, service_role
from infra.components.security_group import reaching_group
from infra.components.task import Task, TaskArgs
from infra.foundation import Place, TaskFacts

TRIES = 3
TRY_SECONDS = 3600
"""A run that cannot be started within an hour is a dead letter."""


@dataclass(frozen=True)
class ScheduledArgs:
    """Inputs of `Scheduled`."""

    place: Place
    label: str
    """What the process is called: the name of its alarm."""
    task: TaskArgs
    schedule: str
    """`cron(30 3 * * ? *)` or `rate(1 day)`, in UTC."""
    hooks: pulumi.ResourceHookBinding | None = None
    """What has to hold before the schedule gets new code."""
    after: Sequence[pulumi.Resource] = ()
    """What those need."""


class Scheduled(pulumi.ComponentResource):
    """An EventBridge schedule that runs a one-off task on Fargate.

    Provisions: a task definition with its log group and roles, security group (in: nothing; out: its stores and
    HTTPS), the schedule and the role that lets it start this one task, a dead-letter queue for what could not be
    started. Costs as a web task, for the minutes it runs.
    """

    task: TaskFacts
    schedule_arn: pulumi.Output[str]
    role_arn: pulumi.Output[str]
    """What the scheduler takes on to start the task."""
    alarms: list[Alarm]

    def __init__(self, name: str, args: ScheduledArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:scheduled:Scheduled", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.task = task = Task(name, args.task, opts=child).facts
        group, rules = reaching_group(
            name, "Scheduled tasks", vpc_id=args.place.network.vpc_id, stores=args.place.stores, parent=self
        )
        dead = aws.sqs.Queue(
            f"{name}-dead",
            message_retention_seconds=DEAD_LETTER_SECONDS,
            sqs_managed_sse_enabled=True,
            opts=child,
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
                    "Resource": pulumi.Output.format("{0}/*", args.place.cluster.task_arns()),
                    "Condition": {"StringEquals": {"ecs:CreateAction": "RunTask"}},
                },
                {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": dead.arn},
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
                "dead_letter_config": {"arn": dead.arn},
            },
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*task.ready, *rules, *granted, *args.after], hooks=args.hooks
            ),
        )
        self.schedule_arn, self.role_arn = schedule.arn, role.arn
        self.alarms = [
            Alarm(
                f"{args.label}-not-started",
                f"The scheduler could not start {args.label}: look at its dead-letter queue for the reason",
                "AWS/SQS",
                "ApproximateNumberOfMessagesVisible",
                {"QueueName": dead.name},
                statistic="Maximum",
                over=0,
            )
        ]
        self.register_outputs({})
