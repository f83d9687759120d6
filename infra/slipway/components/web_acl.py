"""The web ACL (AWS WAF) of the load balancer, and the rules that it shares with that of a distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

RATE_LIMIT_RULE = "rate"
"""Name of the rule that limits requests of each address."""
MANAGED_RULE_GROUPS: dict[str, list[str]] = {
    "AWSManagedRulesAmazonIpReputationList": [],
    # The app limits bodies itself, at its own size: WAF's 8 KB would refuse legitimate requests.
    "AWSManagedRulesCommonRuleSet": ["SizeRestrictions_BODY"],
    "AWSManagedRulesKnownBadInputsRuleSet": [],
    "AWSManagedRulesSQLiRuleSet": [],
}
"""AWS's managed rule groups, each with those of its rules that only count."""


@dataclass(frozen=True, kw_only=True)
class WebAclArgs:
    """Inputs of each web ACL."""

    rate_limit: int = 30_000
    """Requests that one address may send in five minutes."""
    log_retention_days: int = 30
    count_only_rules: Sequence[str] = ()
    """Rules (`rate`, or managed groups) that only count; the log lists requests that they would block."""


@dataclass(frozen=True)
class RegionalWebAclArgs(WebAclArgs):
    """Inputs of `RegionalWebAcl`."""

    load_balancer_arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]


class RegionalWebAcl(pulumi.ComponentResource):
    """Creates a web ACL on the load balancer (ELB.16): a rate limit by address and managed rules; it logs blocks.

    Costs 5 USD a month, 1 USD for each of the five rules and 0.60 USD a million requests.
    """

    def __init__(self, name: str, args: RegionalWebAclArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:wafv2:RegionalWebAcl", name, None, opts)
        acl = create_web_acl(name, args, scope="REGIONAL", region=None, key_arn=args.key_arn, parent=self)
        aws.wafv2.WebAclAssociation(
            f"{name}-waf",
            resource_arn=args.load_balancer_arn,
            web_acl_arn=acl.arn,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def create_web_acl(
    name: str,
    args: WebAclArgs,
    *,
    scope: str,
    region: str | None,
    key_arn: pulumi.Input[str] | None,
    parent: pulumi.Resource,
) -> aws.wafv2.WebAcl:
    """Creates a web ACL with its log."""
    child = pulumi.ResourceOptions(parent=parent)
    acl = aws.wafv2.WebAcl(
        f"{name}-waf",
        scope=scope,
        description=f"{name}: a limit for each address and managed rules",
        default_action={"allow": {}},
        rules=[_rate_rule(args.rate_limit, args.count_only_rules), *_managed_rules(args.count_only_rules)],
        visibility_config=_visibility_config(name),
        region=region,
        opts=child,
    )
    logs = aws.cloudwatch.LogGroup(
        f"aws-waf-logs-{name}",  # the prefix that WAF requires
        retention_in_days=args.log_retention_days,
        kms_key_id=key_arn,
        region=region,
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
        region=region,
        opts=child,
    )
    return acl


def _rate_rule(limit: int, count_only: Sequence[str]) -> aws.wafv2.WebAclRuleArgsDict:
    return {
        "name": RATE_LIMIT_RULE,
        "priority": 0,
        "action": {"count": {}} if RATE_LIMIT_RULE in count_only else {"block": {}},
        "statement": {
            "rate_based_statement": {"limit": limit, "aggregate_key_type": "IP", "evaluation_window_sec": 300}
        },
        "visibility_config": _visibility_config(RATE_LIMIT_RULE),
    }


def _managed_rules(count_only: Sequence[str]) -> list[aws.wafv2.WebAclRuleArgsDict]:
    return [
        {
            "name": group,
            "priority": priority,
            "override_action": {"count": {}} if group in count_only else {"none": {}},
            "statement": {
                "managed_rule_group_statement": {
                    "vendor_name": "AWS",
                    "name": group,
                    "rule_action_overrides": [
                        {"name": rule, "action_to_use": {"count": {}}} for rule in counting_rules
                    ],
                }
            },
            "visibility_config": _visibility_config(group),
        }
        for priority, (group, counting_rules) in enumerate(MANAGED_RULE_GROUPS.items(), start=1)
    ]


def _visibility_config(metric: str) -> aws.wafv2.WebAclVisibilityConfigArgsDict:
    return {"cloudwatch_metrics_enabled": True, "metric_name": metric, "sampled_requests_enabled": True}
