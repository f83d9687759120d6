"""What a component wants to be watched for; `Alarms` makes the CloudWatch alarms of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.foundation import ClusterFacts


@dataclass(frozen=True)
class Alarm:
    """One condition on one metric, or on an expression over several."""

    name: str
    """What is wrong, in a word or two: `database-cpu`."""
    why: str
    """What it means, and where it helps what to do: the text of the mail."""
    namespace: str
    metric: str
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: str = "Average"
    """Average, Sum, Minimum, Maximum, or a percentile like p99."""
    over: float | None = None
    """It is wrong above this, in the metric's unit ..."""
    under: float | None = None
    """... or below this. One of the two."""
    minutes: int = 5
    """For so long in a row: so many periods, where they are not of a minute."""
    period_seconds: int = 60
    """What one value of the metric is taken over."""
    silence_is_wrong: bool = False
    """No data counts as wrong, for what should always report; else as right."""
    share_of: str = ""
    """Another metric of the same namespace and dimensions: `over` is then a percentage of its sum."""


def too_few_tasks(kind: str, cluster: ClusterFacts, service: pulumi.Input[str], least: int) -> list[Alarm]:
    """Less of a service runs than should at least; nothing where nobody counts, or none has to run."""
    if not (cluster.counts_tasks and least):
        return []
    return [
        Alarm(
            f"{kind}-tasks",
            f"Fewer than {least} {kind} tasks run",
            "ECS/ContainerInsights",
            "RunningTaskCount",
            {"ClusterName": cluster.name, "ServiceName": service},
            statistic="Minimum",
            under=least,
            silence_is_wrong=True,
        )
    ]
