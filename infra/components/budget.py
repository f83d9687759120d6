"""What an environment may cost before somebody is told."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.settings import Settings


@dataclass(frozen=True)
class BudgetArgs:
    """Inputs of `Budget`."""

    usd_a_month: int
    stack: str
    """The value of the tag `stack`, `<project>-<stack>`, which tells its costs from the account's others."""
    topic_arn: pulumi.Input[str]

    @classmethod
    def of(cls, settings: Settings, *, stack: str, topic_arn: pulumi.Input[str]) -> BudgetArgs:
        """As a stack's settings have it."""
        return cls(settings.monthly_budget_usd, stack, topic_arn)


class Budget(pulumi.ComponentResource):
    """A monthly budget that tells the alarms' topic at 80 % spent, and when the forecast is beyond it. Free.

    AWS sees the tag once it is activated as a cost allocation tag, by hand and once for the account.
    """

    def __init__(self, name: str, args: BudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:budget:Budget", name, None, opts)

        def tell(kind: str, percent: int) -> aws.budgets.BudgetNotificationArgsDict:
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
            limit_amount=str(args.usd_a_month),
            limit_unit="USD",
            time_unit="MONTHLY",
            cost_filters=[{"name": "TagKeyValue", "values": [f"user:stack${args.stack}"]}],
            notifications=[tell("ACTUAL", 80), tell("FORECASTED", 100)],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
