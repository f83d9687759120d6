"""The ECS services, task definitions and schedules of a stack that the CI pipeline's roles may change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from slipway.components.outputs import TaskDefinitionOutputs


@dataclass(frozen=True)
class CiTargets:
    """Everything in a stack that a release changes, or that `slipway promote` and `slipway drift` look at."""

    service_arns: Sequence[pulumi.Input[str]] = ()
    tasks: Sequence[TaskDefinitionOutputs] = ()
    """Task definitions of which a release registers new revisions."""
    release_tasks: Sequence[TaskDefinitionOutputs] = ()
    """Those of `tasks` that a release also runs: migrations, the previews' template database."""
    schedule_arns: Sequence[pulumi.Input[str]] = ()
    scheduler_role_arns: Sequence[pulumi.Input[str]] = ()
    queue_arns: Sequence[pulumi.Input[str]] = ()
    """Queues whose visibility time-out a release compares with app.yaml's."""

    def merge(self, *others: CiTargets) -> CiTargets:
        """Returns the targets of all."""
        everything = (self, *others)
        return CiTargets(
            service_arns=[arn for targets in everything for arn in targets.service_arns],
            tasks=[task for targets in everything for task in targets.tasks],
            release_tasks=[task for targets in everything for task in targets.release_tasks],
            schedule_arns=[arn for targets in everything for arn in targets.schedule_arns],
            scheduler_role_arns=[arn for targets in everything for arn in targets.scheduler_role_arns],
            queue_arns=[arn for targets in everything for arn in targets.queue_arns],
        )
