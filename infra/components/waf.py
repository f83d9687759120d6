"""The web application firewall before the load balancer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.settings import Settings

RATE = "rate"
"""The limit for each address."""
MANAGED: dict[str, list[str]] = {
    "AWSManagedRulesAmazonIpReputationList": [],
    # The app bounds bodies itself, at its own size: WAF's 8 KB would refuse honest requests.
    "AWSManagedRulesCommonRuleSet": ["SizeRestrictions_BODY"],
    "AWSManagedRulesKnownBadInputsRuleSet": [],
    "AWSManagedRulesSQLiRuleSet": [],
}
"""AWS's rule groups, each with its rules that only count."""


@dataclass(frozen=True)
class WafArgs:
    """Inputs of `Waf`."""

    load_balancer_arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    rate_limit: int = 30_000
    """Requests that one address may make in five minutes."""
    log_retention_days: int = 30
    counting: Sequence[str] = ()
    """`rate` and groups of MANAGED that block nothing yet: what they would have blocked is in the log."""

    @classmethod
    def of(cls, settings: Settings, *, load_balancer_arn: pulumi.Input[str], key_arn: pulumi.Input[str]) -> WafArgs:
        """As a stack's settings have it."""
        return cls(
            load_balancer_arn, key_arn, settings.waf_rate_limit, settings.log_retention_days, settings.waf_count_only
        )


class Waf(pulumi.ComponentResource):
    """A web ACL on the load balancer (ELB.16): a limit for each address and AWS's managed rules; blocks are logged.

    Costs 5 USD a month, 1 USD for each of the five rules and 0.60 USD a million requests.
    """

    def __init__(self, name: str, args: WafArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:waf:Waf", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        acl = aws.wafv2.WebAcl(
            f"{name}-waf",
            scope="REGIONAL",
            description=f"{name}: a limit for each address and managed rules",
            default_action={"allow": {}},
            rules=[_rate_rule(args.rate_limit, args.counting), *_managed_rules(args.counting)],
            visibility_config=_visible(name),
            opts=child,
        )
        aws.wafv2.WebAclAssociation(f"{name}-waf", resource_arn=args.load_balancer_arn, web_acl_arn=acl.arn, opts=child)
        logs = aws.cloudwatch.LogGroup(
            f"aws-waf-logs-{name}",  # WAF takes no other prefix
            retention_in_days=args.log_retention_days,
            kms_key_id=args.key_arn,
            opts=child,
        )
        aws.wafv2.WebAclLoggingConfiguration(
            f"{name}-waf",
            resource_arn=acl.arn,
            log_destination_configs=[logs.arn],
            logging_filter={
                "default_behavior": "DROP",
                "filters": [
                    {
                        "behavior": "KEEP",
                        "requirement": "MEETS_ANY",
                        "conditions": [
                            {"action_condition": {"action": "BLOCK"}},
                            {"action_condition": {"action": "COUNT"}},
                        ],
                    }
                ],
            },
            redacted_fields=[{"single_header": {"name": "authorization"}}, {"single_header": {"name": "cookie"}}],
            opts=child,
        )
        self.register_outputs({})


def _rate_rule(limit: int, only_counting: Sequence[str]) -> aws.wafv2.WebAclRuleArgsDict:
    return {
        "name": RATE,
        "priority": 0,
        "action": {"count": {}} if RATE in only_counting else {"block": {}},
        "statement": {
            "rate_based_statement": {"limit": limit, "aggregate_key_type": "IP", "evaluation_window_sec": 300}
        },
        "visibility_config": _visible(RATE),
    }


def _managed_rules(only_counting: Sequence[str]) -> list[aws.wafv2.WebAclRuleArgsDict]:
    return [
        {
            "name": group,
            "priority": priority,
            "override_action": {"count": {}} if group in only_counting else {"none": {}},
            "statement": {
                "managed_rule_group_statement": {
                    "vendor_name": "AWS",
                    "name": group,
                    "rule_action_overrides": [{"name": rule, "action_to_use": {"count": {}}} for rule in counting],
                }
            },
            "visibility_config": _visible(group),
        }
        for priority, (group, counting) in enumerate(MANAGED.items(), start=1)
    ]


def _visible(metric: str) -> aws.wafv2.WebAclVisibilityConfigArgsDict:
    return {"cloudwatch_metrics_enabled": True, "metric_name": metric, "sampled_requests_enabled": True}
