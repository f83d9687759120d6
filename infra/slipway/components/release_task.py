"""The release task: it runs once before any process gets new code, for database roles and migrations."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from slipway.components.outputs import TaskDefinitionOutputs, TaskPlacement
from slipway.components.security_group import create_egress_security_group
from slipway.components.task_definition import FargateTaskDefinition, FargateTaskDefinitionArgs


@dataclass(frozen=True)
class ReleaseTaskArgs:
    """Inputs of `ReleaseTask`."""

    place: TaskPlacement
    task: FargateTaskDefinitionArgs
    """Its containers run one after the other; it has succeeded when the last one exits with 0."""


class ReleaseTask(pulumi.ComponentResource):
    """Creates the definition of a standalone task, with its own security group (egress: its stores and HTTPS).

    Provisions: a task definition with its log group and roles, security group. Costs as a web task, for the seconds
    that it runs.
    """

    task: TaskDefinitionOutputs
    security_group_id: pulumi.Output[str]
    ready: list[pulumi.Resource]
    """Resources that a run of it depends on."""

    def __init__(self, name: str, args: ReleaseTaskArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:ecs:ReleaseTask", name, None, opts)
        self.task = FargateTaskDefinition(name, args.task, opts=pulumi.ResourceOptions(parent=self)).outputs
        group, rules = create_egress_security_group(
            name, "Release tasks", vpc_id=args.place.network.vpc_id, stores=args.place.stores, parent=self
        )
        self.security_group_id = group.id
        self.ready = [*self.task.ready, group, *rules, *args.place.network.ready, *args.place.cluster.ready]
        self.register_outputs({})
