"""Outputs of one process, for a team's own resources."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from slipway.components.outputs import TaskDefinitionOutputs


@dataclass(frozen=True)
class ProcessOutputs:
    """AWS resources of one process of stacks/app.yaml."""

    task: TaskDefinitionOutputs
    """Its task definition, log group and roles."""
    security_group_id: pulumi.Input[str]
    service_name: pulumi.Output[str] | None = None
    """Its ECS service; None for a scheduled process."""
    service_arn: pulumi.Output[str] | None = None

    @property
    def task_role_name(self) -> pulumi.Input[str]:
        """Returns the name of the task role, to attach policies for the app's code."""
        return self.task.task_role.name

    @property
    def execution_role_name(self) -> pulumi.Input[str]:
        """Returns the name of the execution role, which ECS uses."""
        return self.task.execution_role.name

    @property
    def log_group_name(self) -> pulumi.Input[str]:
        """Returns the name of its log group."""
        return self.task.log_group_name
