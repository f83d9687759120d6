"""EC2: a security group's rules have ids of their own, no rule is there twice, and a rule's group can be changed.

ministack derives a rule's id from its contents, so that one that was changed in place and a new one like it before the
change have the same; it takes a second like one for the first; and it reads a field that the API does not have.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from ministack.services import ec2

Parameters = dict[str, Any]
Rule = dict[str, Any]


def install() -> None:
    """Puts these behaviours in the place of ministack's."""
    ec2._sg_rule_id = _assign_rule_id
    calls = {
        "AuthorizeSecurityGroupIngress": _wrap_authorize(ec2._authorize_sg_ingress, "IpPermissions"),
        "AuthorizeSecurityGroupEgress": _wrap_authorize(ec2._authorize_sg_egress, "IpPermissionsEgress"),
        "ModifySecurityGroupRules": _wrap_modify(ec2._modify_security_group_rules),
    }
    ec2._ACTION_MAP.update(calls)


def _assign_rule_id(group_id: str, is_egress: bool, rule: Rule) -> str:
    """Returns the rule's id; one that has none gets it for as long as it is there."""
    return str(rule.setdefault("SecurityGroupRuleId", f"sgr-{secrets.token_hex(9)[:17]}"))


def _wrap_authorize(original: Callable[[Parameters], Any], field: str) -> Callable[[Parameters], Any]:
    def authorize(parameters: Parameters) -> Any:
        group = ec2._security_groups.get(ec2._p(parameters, "GroupId"))
        requested = ec2._parse_ip_permissions(parameters, "IpPermissions")
        if group and any(ec2._rules_match(rule, existing) for rule in requested for existing in group[field]):
            return ec2._error("InvalidPermission.Duplicate", "the specified rule already exists", 400)
        return original(parameters)

    return authorize


def _wrap_modify(original: Callable[[Parameters], Any]) -> Callable[[Parameters], Any]:
    def modify(parameters: Parameters) -> Any:
        api_field = ".ReferencedGroupId"
        renamed = {
            f"{key.removesuffix(api_field)}.ReferencedGroupInfo.GroupId": value
            for key, value in parameters.items()
            if key.endswith(api_field)
        }
        return original(parameters | renamed)

    return modify
