"""A monthly budget of an environment's costs."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class MonthlyBudgetArgs:
    """Inputs of `MonthlyBudget`."""

    monthly_limit_usd: int
    stack: str
    """Value of the tag `stack`, `<project>-<stack>`, by which its costs are found."""
    topic_arn: pulumi.Input[str]
    """SNS topic that is notified."""


class MonthlyBudget(pulumi.ComponentResource):
    """Creates a budget that notifies the topic at 80 % spent, and when the forecast exceeds the limit. Free.

    AWS filters by the tag once it is activated as a cost allocation tag, by hand and once for the account.
    """

    def __init__(self, name: str, args: MonthlyBudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:budgets:MonthlyBudget", name, None, opts)

        def notification(kind: str, percent: int) -> aws.budgets.BudgetNotificationArgsDict:
            return {
                "notification_type": kind,
                "comparison_operator": "GREATER_THAN",
                "threshold": percent,
                "threshold_type": "PERCENTAGE",
                "subscriber_sns_topic_arns": [args.topic_arn],
            }

        aws.budgets.Budget(
            f"{name}-budget",
            budget_type="COST",
            limit_amount=str(args.monthly_limit_usd),
            limit_unit="USD",
            time_unit="MONTHLY",
            cost_filters=[{"name": "TagKeyValue", "values": [f"user:stack${args.stack}"]}],
            notifications=[notification("ACTUAL", 80), notification("FORECASTED", 100)],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
