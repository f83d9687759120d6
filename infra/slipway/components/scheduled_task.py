"""A scheduled task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.cloudwatch_alarm import Alarm
from slipway.components.iam_roles import ECS_TASKS, create_service_role
from slipway.components.outputs import TaskDefinitionOutputs, TaskPlacement
from slipway.components.security_group import create_egress_security_group
from slipway.components.sqs_queue import DEAD_LETTER_RETENTION_SECONDS
from slipway.components.task_definition import FargateTaskDefinition, FargateTaskDefinitionArgs

MAX_RETRY_ATTEMPTS = 3
MAX_EVENT_AGE_SECONDS = 3600
"""Age at which a run that could not be started becomes a dead letter."""


@dataclass(frozen=True)
class ScheduledTaskArgs:
    """Inputs of `ScheduledTask`."""

    place: TaskPlacement
    label: str
    """Process name, which begins its alarm's name."""
    task: FargateTaskDefinitionArgs
    schedule: str
    """`cron(30 3 * * ? *)` or `rate(1 day)`."""
    zone: str = "UTC"
    """Time zone of a cron expression."""
    hooks: pulumi.ResourceHookBinding | None = None
    """Hooks that run before the schedule changes."""
    depends_on: Sequence[pulumi.Resource] = ()
    """Resources that must exist before the schedule gets new code: the release run."""


class ScheduledTask(pulumi.ComponentResource):
    """Creates an EventBridge schedule that runs a one-off task on Fargate.

    Provisions: a task definition with its log group and roles, security group (ingress: none; egress: its stores and
    HTTPS), the schedule and the role that starts this one task, a dead-letter queue of runs that could not be started.
    Costs as a web task, for the minutes it runs.
    """

    task: TaskDefinitionOutputs
    schedule_arn: pulumi.Output[str]
    role_arn: pulumi.Output[str]
    """ARN of the role that the scheduler assumes to start the task."""
    security_group_id: pulumi.Output[str]
    alarms: list[Alarm]

    def __init__(self, name: str, args: ScheduledTaskArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:ecs:ScheduledTask", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        task = FargateTaskDefinition(name, args.task, opts=child).outputs
        group, rules = create_egress_security_group(
            name, "Scheduled tasks", vpc_id=args.place.network.vpc_id, stores=args.place.stores, parent=self
        )
        dead_letters = aws.sqs.Queue(
            f"{name}-dead",
            message_retention_seconds=DEAD_LETTER_RETENTION_SECONDS,
            sqs_managed_sse_enabled=True,
            opts=child,
        )
        role, role_resources = create_service_role(
            f"{name}-scheduler",
            "scheduler.amazonaws.com",
            [
                {
                    "Effect": "Allow",
                    "Action": "ecs:RunTask",
                    # Any revision: the role does not change with each release.
                    "Resource": pulumi.Output.format("{0}:*", task.family_arn),
                    "Condition": {"ArnEquals": {"ecs:cluster": args.place.cluster.arn}},
                },
                {
                    "Effect": "Allow",
                    "Action": "iam:PassRole",
                    "Resource": task.pass_role_arns,
                    "Condition": {"StringEquals": {"iam:PassedToService": ECS_TASKS}},
                },
                {
                    "Effect": "Allow",  # the task gets the tags of its definition
                    "Action": "ecs:TagResource",
                    "Resource": pulumi.Output.format("{0}/*", args.place.cluster.task_arn_prefix()),
                    "Condition": {"StringEquals": {"ecs:CreateAction": "RunTask"}},
                },
                {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": dead_letters.arn},
            ],
            parent=self,
        )
        schedule = aws.scheduler.Schedule(
            f"{name}-schedule",
            schedule_expression=args.schedule,
            schedule_expression_timezone=args.zone,
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
                        "subnets": args.place.network.task_subnet_ids,
                        "security_groups": [group.id],
                        "assign_public_ip": args.place.network.has_public_tasks,
                    },
                },
                "retry_policy": {
                    "maximum_retry_attempts": MAX_RETRY_ATTEMPTS,
                    "maximum_event_age_in_seconds": MAX_EVENT_AGE_SECONDS,
                },
                "dead_letter_config": {"arn": dead_letters.arn},
            },
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*task.ready, *rules, *role_resources, *args.depends_on], hooks=args.hooks
            ),
        )
        self.task = task
        self.schedule_arn = schedule.arn
        self.role_arn = role.arn
        self.security_group_id = group.id
        self.alarms = [
            Alarm(
                f"{args.label}-not-started",
                f"The scheduler could not start {args.label}: its dead-letter queue has the reason",
                "AWS/SQS",
                "ApproximateNumberOfMessagesVisible",
                {"QueueName": dead_letters.name},
                statistic="Maximum",
                greater_than=0,
            )
        ]
        self.register_outputs({})
