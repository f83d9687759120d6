"""Creates what stops an environment in the evening and starts it in the morning: two scheduled tasks of the kit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
import pulumi_aws as aws

from slipway.components.ci_targets import CiTargets
from slipway.components.iam_roles import Statement
from slipway.components.outputs import EnvironmentOutputs, TaskPlacement
from slipway.components.scheduled_task import ScheduledTask, ScheduledTaskArgs
from slipway.components.task_definition import ContainerDefinition
from slipway.config.setting_sections.off_hours import to_schedule_expression
from slipway.program.component_args.services import task_definition_args
from slipway.program.kit_images import build_kit_image
from slipway.program.processes import Processes
from slipway.program.stack_context import StackContext
from slipway.release import pause_steps
from slipway.release.pause_steps import OFF_HOURS

CPU, MEMORY = 256, 512


@dataclass(frozen=True)
class OffHoursTasks:
    """Both tasks by their labels; empty where the stack has no `offHours`."""

    tasks: Mapping[str, ScheduledTask] = field(default_factory=dict)

    @property
    def alarm_sources(self) -> list[ScheduledTask]:
        """Return the components that declare alarms."""
        return [*self.tasks.values()]

    @property
    def families(self) -> dict[str, str]:
        """Return label -> task family."""
        return {label: task.task.family for label, task in self.tasks.items()}

    @property
    def ci_targets(self) -> CiTargets:
        """Return what a release by the CI pipeline changes: their task definitions and schedules."""
        return CiTargets(
            tasks=[task.task for task in self.tasks.values()],
            schedule_arns=[task.schedule_arn for task in self.tasks.values()],
            scheduler_role_arns=[task.role_arn for task in self.tasks.values()],
        )

    @property
    def log_groups(self) -> dict[str, pulumi.Input[str]]:
        """Return label -> log group."""
        return {label: task.task.log_group_name for label, task in self.tasks.items()}


def create_off_hours(
    context: StackContext, environment_outputs: EnvironmentOutputs, processes: Processes
) -> OffHoursTasks:
    """Create both tasks where the stack has `offHours`.

    A task, and no direct targets of EventBridge Scheduler: what previews there are, and how many tasks autoscaling had
    started, is known in the evening only.
    """
    off_hours = context.settings.off_hours
    if off_hours is None:
        return OffHoursTasks()
    scheduler_role_arns = processes.ci_targets().scheduler_role_arns
    image = build_kit_image(
        context,
        environment_outputs.registry,
        OFF_HOURS,
        context.settings.base_image,
        files={"pause_steps.py": Path(pause_steps.__file__)},
    )
    tasks: dict[str, ScheduledTask] = {}
    for action, cron in (("stop", off_hours.stop), ("start", off_hours.start)):
        label = f"{OFF_HOURS}-{action}"
        container = ContainerDefinition(
            OFF_HOURS,
            image,
            command=["/venv/bin/python", "/srv/main.py", action],
            environment={
                "CLUSTER": environment_outputs.cluster.arn,
                "STACK": context.name,
                "AWS_DEFAULT_REGION": aws.get_region_output().region,
            },
        )
        tasks[label] = ScheduledTask(
            f"{context.name}-{label}",
            ScheduledTaskArgs(
                place=TaskPlacement(environment_outputs.network, environment_outputs.cluster, []),
                label=label,
                task=task_definition_args(
                    context,
                    environment_outputs,
                    containers=[container],
                    cpu=CPU,
                    memory=MEMORY,
                    statements=_statements(context.name, environment_outputs, scheduler_role_arns),
                ),
                schedule=to_schedule_expression(cron),
                zone=off_hours.zone,
            ),
        )
    return OffHoursTasks(tasks)


def _statements(
    name: str, outputs: EnvironmentOutputs, scheduler_role_arns: Sequence[pulumi.Input[str]]
) -> list[Statement]:
    """Rights on this stack's cluster, services, database, alarms and schedules, and on nothing else that can change."""
    account, region = aws.get_caller_identity_output().account_id, aws.get_region_output().region

    def arn(service: str, resource: str) -> pulumi.Output[str]:
        return pulumi.Output.format("arn:aws:{0}:{1}:{2}:{3}", service, region, account, resource)

    def allow(actions: list[str], resource: object, condition: object = None) -> Statement:
        return {"Effect": "Allow", "Action": actions, "Resource": resource} | (
            {"Condition": condition} if condition else {}
        )

    statements = [
        allow(
            [
                "application-autoscaling:DescribeScalableTargets",
                "ecs:ListServices",
                "rds:DescribeDBInstances",
                "scheduler:ListSchedules",
                "tag:GetResources",
            ],
            "*",  # AWS allows no resource on them, or answers with those that are allowed
        ),
        allow(["ecs:DescribeClusters", "ecs:TagResource", "ecs:UntagResource"], outputs.cluster.arn),
        allow(
            ["ecs:DescribeServices", "ecs:TagResource", "ecs:UntagResource", "ecs:UpdateService"],
            pulumi.Output.format("{0}/*", outputs.cluster.service_arn_prefix()),
        ),
        allow(
            ["application-autoscaling:RegisterScalableTarget"],
            arn("application-autoscaling", "scalable-target/*"),
            {"StringEquals": {"application-autoscaling:service-namespace": "ecs"}},
        ),
        allow(
            ["rds:StartDBInstance", "rds:StopDBInstance"],
            arn("rds", "db:*"),
            {"StringEquals": {"aws:ResourceTag/stack": name}},
        ),
        allow(
            ["cloudwatch:DisableAlarmActions", "cloudwatch:EnableAlarmActions"], arn("cloudwatch", f"alarm:{name}-*")
        ),
        allow(["scheduler:GetSchedule", "scheduler:UpdateSchedule"], arn("scheduler", f"schedule/default/{name}-*")),
    ]
    if scheduler_role_arns:  # UpdateSchedule hands the schedule's role on
        passed = {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
        statements.append(allow(["iam:PassRole"], list(scheduler_role_arns), passed))
    return statements
