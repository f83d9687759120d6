"""What runs once before any process gets new code: the database's roles, then the app's release command."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from infra.components.security_group import reaching_group
from infra.components.task import Task, TaskArgs
from infra.foundation import Place, TaskFacts


@dataclass(frozen=True)
class ReleaseStepArgs:
    """Inputs of `ReleaseStep`."""

    place: Place
    task: TaskArgs
    """Its containers run one after the other; the task is done when the last one has exited with 0."""


class ReleaseStep(pulumi.ComponentResource):
    """A one-off task that the release runs, in a security group of its own (out: its stores and HTTPS).

    Provisions: a task definition with its log group and roles, security group. Costs as a web task, for the seconds
    that it runs.
    """

    task: TaskFacts
    security_group_id: pulumi.Output[str]
    ready: list[pulumi.Resource]
    """What has to be there before it can run."""

    def __init__(self, name: str, args: ReleaseStepArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:release:ReleaseStep", name, None, opts)
        self.task = Task(name, args.task, opts=pulumi.ResourceOptions(parent=self)).facts
        group, rules = reaching_group(
            name, "Release tasks", vpc_id=args.place.network.vpc_id, stores=args.place.stores, parent=self
        )
        self.security_group_id = group.id
        self.ready = [*self.task.ready, group, *rules, *args.place.network.ready, *args.place.cluster.ready]
        self.register_outputs({})
