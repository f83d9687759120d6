"""The definition of a task that a command starts: a manual process, or the kit's step that makes database logins."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from slipway.components.outputs import TaskDefinitionOutputs, TaskPlacement
from slipway.components.security_group import create_egress_security_group
from slipway.components.task_definition import FargateTaskDefinition, FargateTaskDefinitionArgs


@dataclass(frozen=True)
class OneOffTaskArgs:
    """Inputs of `OneOffTask`."""

    place: TaskPlacement
    label: str
    """What begins the description of its security group."""
    task: FargateTaskDefinitionArgs


class OneOffTask(pulumi.ComponentResource):
    """Creates the definition of a task that `slipway run` or `slipway connect` starts.

    Provisions: a task definition with its log group and roles, security group (ingress: none; egress: its stores and
    HTTPS). Costs as a web task, for the time that it runs.
    """

    task: TaskDefinitionOutputs
    security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: OneOffTaskArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:ecs:OneOffTask", name, None, opts)
        self.task = FargateTaskDefinition(name, args.task, opts=pulumi.ResourceOptions(parent=self)).outputs
        group, _ = create_egress_security_group(
            name, args.label, vpc_id=args.place.network.vpc_id, stores=args.place.stores, parent=self
        )
        self.security_group_id = group.id
        self.register_outputs({})
