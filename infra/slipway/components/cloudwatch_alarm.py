"""Alarms that a component declares; `Alarms` creates the CloudWatch alarms from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from slipway.components.outputs import ClusterOutputs


@dataclass(frozen=True)
class Alarm:
    """One condition on one metric, or on an expression over several."""

    name: str
    """Name of the condition: `database-cpu`."""
    description: str
    """Text of the mail: the meaning of the condition, and the fix."""
    namespace: str
    metric: str
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: str = "Average"
    """Average, Sum, Minimum, Maximum, or a percentile like p99."""
    greater_than: float | None = None
    """Threshold in the metric's unit: breaching above it ..."""
    less_than: float | None = None
    """... or below it. One of the two is set."""
    evaluation_periods: int = 5
    """Number of periods in a row that have to breach."""
    period_seconds: int = 60
    """Length of a period in seconds."""
    treat_missing_data_as_breaching: bool = False
    """Whether a period without data breaches: for a metric that is always reported."""
    denominator_metric: str = ""
    """Another metric of the same namespace and dimensions: `greater_than` is then a percentage of it."""


def running_tasks_alarms(kind: str, cluster: ClusterOutputs, service: pulumi.Input[str], min_tasks: int) -> list[Alarm]:
    """Returns the alarm on fewer than `min_tasks` running tasks; None without Container Insights, or if it is 0."""
    if not (cluster.counts_tasks and min_tasks):
        return []
    return [
        Alarm(
            f"{kind}-tasks",
            f"Fewer than {min_tasks} {kind} tasks run",
            "ECS/ContainerInsights",
            "RunningTaskCount",
            {"ClusterName": cluster.name, "ServiceName": service},
            statistic="Minimum",
            less_than=min_tasks,
            treat_missing_data_as_breaching=True,
        )
    ]
