"""WAF: web ACLs and what they protect. The emulator keeps them and blocks nothing."""

from __future__ import annotations

from typing import Any

from infra.local.provider.codec import has_unknown
from infra.local.provider.kind import Context, Kind, Properties, Refused, StateOnly, set_of, tag_list, tag_map
from infra.local.provider.spelling import as_amazon, as_pulumi

UNLIKE = {"cloudwatchMetricsEnabled": "CloudWatchMetricsEnabled"}
STATEMENTS = {
    "managedRuleGroupStatement": set_of("name vendorName version ruleActionOverrides"),
    "rateBasedStatement": set_of("limit aggregateKeyType evaluationWindowSec"),
}


class WebAcl(Kind):
    type_name = "aws:wafv2/webAcl:WebAcl"
    inputs = set_of("name scope description defaultAction rules visibilityConfig tags tagsAll")
    replace = set_of("name scope")
    named = ("name", 128)
    moving = set_of("lockToken")

    def prepare(self, aws: Context, given: Properties) -> Properties:
        rules = given.get("rules")
        if not has_unknown(rules):
            for rule in rules or []:
                _check(rule)
        return given

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        tags = {"Tags": tag_list(given)} if tag_list(given) else {}
        made = aws("wafv2").create_web_acl(Name=given["name"], Scope=given["scope"], **_body(given), **tags)["Summary"]
        # AWS adds up what the rules cost; the emulator says 0.
        return made["Id"], {"arn": made["ARN"], "capacity": 0, "lockToken": made["LockToken"]}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        answer = _find(aws, id, known)
        if answer is None:
            return None
        found = answer["WebACL"]
        tags = aws("wafv2").list_tags_for_resource(ResourceARN=found["ARN"])["TagInfoForResource"]["TagList"]
        # No description: the emulator's update leaves the first one, which is no drift.
        return {
            "arn": found["ARN"],
            "capacity": found.get("Capacity", 0),
            "lockToken": answer["LockToken"],
            "name": found["Name"],
            "scope": "CLOUDFRONT" if ":global/" in found["ARN"] else "REGIONAL",
            "defaultAction": as_pulumi(found["DefaultAction"], UNLIKE),
            "rules": as_pulumi(found.get("Rules", []), UNLIKE),
            "visibilityConfig": as_pulumi(found["VisibilityConfig"], UNLIKE),
            "tags": tag_map(tags),
            "tagsAll": tag_map(tags),
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        known = {"name": new["name"], "scope": new["scope"]}
        answer = aws("wafv2").get_web_acl(**_where(id, known))
        done = aws("wafv2").update_web_acl(**_where(id, known), **_body(new), LockToken=answer["LockToken"])
        arn, before, after = answer["WebACL"]["ARN"], old.get("tagsAll") or {}, new.get("tagsAll") or {}
        gone = [key for key in before if key not in after]
        if gone:
            aws("wafv2").untag_resource(ResourceARN=arn, TagKeys=gone)
        if after:
            aws("wafv2").tag_resource(ResourceARN=arn, Tags=tag_list(new))
        return {"lockToken": done["NextLockToken"]}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        answer = _find(aws, id, known)
        if answer:
            aws("wafv2").delete_web_acl(**_where(id, known), LockToken=answer["LockToken"])


class WebAclAssociation(Kind):
    """Its id is web ACL and resource, as one text."""

    type_name = "aws:wafv2/webAclAssociation:WebAclAssociation"
    inputs = set_of("resourceArn webAclArn")
    replace = inputs
    delete_first = True  # a resource has one web ACL

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        aws("wafv2").associate_web_acl(WebACLArn=given["webAclArn"], ResourceArn=given["resourceArn"])
        return f"{given['webAclArn']},{given['resourceArn']}", {}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        _, _, resource = id.partition(",")
        try:
            found = aws("wafv2").get_web_acl_for_resource(ResourceArn=resource)["WebACL"]
        except aws("wafv2").exceptions.WAFNonexistentItemException:
            return None
        return {"webAclArn": found["ARN"], "resourceArn": resource}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("wafv2").disassociate_web_acl(ResourceArn=known["resourceArn"])


class WebAclLoggingConfiguration(StateOnly):
    type_name = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
    inputs = set_of("logDestinationConfigs resourceArn loggingFilter redactedFields")
    replace = set_of("logDestinationConfigs resourceArn")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        return given["resourceArn"], {}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        return known or {"resourceArn": id}


def _where(id: str, known: Properties) -> dict[str, str]:
    """How AWS wants a web ACL named; an import gives all three as id/name/scope."""
    number, name, scope = [*id.split("/"), known.get("name", ""), known.get("scope", "")][:3]
    return {"Id": number, "Name": name, "Scope": scope}


def _find(aws: Context, id: str, known: Properties) -> Any:
    try:
        return aws("wafv2").get_web_acl(**_where(id, known))
    except aws("wafv2").exceptions.WAFNonexistentItemException:
        return None


def _body(given: Properties) -> dict[str, Any]:
    description = {"Description": given["description"]} if given.get("description") else {}
    return {
        "DefaultAction": as_amazon(given["defaultAction"], UNLIKE),
        "Rules": as_amazon(given.get("rules") or [], UNLIKE),
        "VisibilityConfig": as_amazon(given["visibilityConfig"], UNLIKE),
        **description,
    }


def _check(rule: Properties) -> None:
    """Refuse statements whose parts AWS spells in another way than by capital letters."""
    for kind, parts in rule["statement"].items():
        if kind not in STATEMENTS:
            raise Refused(f"rule {rule['name']}: the local provider does {' and '.join(STATEMENTS)}, not {kind}")
        beyond = set(parts) - STATEMENTS[kind]
        if beyond:
            raise Refused(f"rule {rule['name']}: the local provider does not do {kind}.{min(beyond)}")
