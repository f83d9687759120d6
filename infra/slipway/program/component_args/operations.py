"""Arguments of alarms and the budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi

from slipway.components.alarms import AlarmsArgs, HasAlarms
from slipway.components.budget import MonthlyBudgetArgs
from slipway.config.settings import Settings


def alarms_args(
    settings: Settings,
    *,
    key_arn: pulumi.Input[str],
    sources: Sequence[HasAlarms],
    scheduled_task_families: Mapping[str, str],
    cluster_arn: pulumi.Input[str],
    backup_source_arn: pulumi.Input[str],
) -> AlarmsArgs:
    """Returns the arguments of the alarms that the components `sources` declare."""
    return AlarmsArgs(
        key_arn=key_arn,
        alarms=[alarm for component in sources for alarm in component.alarms],
        email=settings.alarm_email,
        scheduled_task_families=scheduled_task_families,
        cluster_arn=cluster_arn,
        backup_source_arn=backup_source_arn,
    )


def monthly_budget_args(settings: Settings, *, stack: str, topic_arn: pulumi.Input[str]) -> MonthlyBudgetArgs:
    """Returns the arguments of the budget of `stack`, which is `<project>-<stack>`."""
    return MonthlyBudgetArgs(monthly_limit_usd=settings.monthly_budget_usd, stack=stack, topic_arn=topic_arn)
