"""WAF: web ACLs and what they protect. The emulator keeps them and blocks nothing."""

from __future__ import annotations

from typing import Any

from slipway_local.provider.case_conversion import to_aws_case, to_pulumi_case
from slipway_local.provider.codec import has_unknown
from slipway_local.provider.resource_type import (
    Properties,
    ProviderContext,
    ResourceType,
    StateOnlyResourceType,
    UnsupportedOperation,
    property_names,
    tag_list,
    tag_map,
)

CASE_EXCEPTIONS = {"cloudwatchMetricsEnabled": "CloudWatchMetricsEnabled"}
SUPPORTED_STATEMENTS = {
    "managedRuleGroupStatement": property_names("name vendorName version ruleActionOverrides"),
    "rateBasedStatement": property_names("limit aggregateKeyType evaluationWindowSec"),
}


class WebAclResource(ResourceType):
    type_name = "aws:wafv2/webAcl:WebAcl"
    inputs = property_names("name scope description defaultAction rules visibilityConfig region tags tagsAll")
    force_replacement = property_names("name scope region")
    name_property = ("name", 128)
    changing_outputs = property_names("lockToken")

    def prepare(self, aws: ProviderContext, inputs: Properties) -> Properties:
        rules = inputs.get("rules")
        if not has_unknown(rules):
            for rule in rules or []:
                _check_rule(rule)
        return inputs

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        tags = {"Tags": tag_list(inputs)} if tag_list(inputs) else {}
        client = aws("wafv2", inputs.get("region"))
        body = _body(inputs)
        created = client.create_web_acl(Name=inputs["name"], Scope=inputs["scope"], **body, **tags)["Summary"]
        # AWS adds up what the rules cost; the emulator says 0.
        return created["Id"], {"arn": created["ARN"], "capacity": 0, "lockToken": created["LockToken"]}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        answer = _find(aws, id, state)
        if answer is None:
            return None
        web_acl = answer["WebACL"]
        tags = aws("wafv2", state.get("region")).list_tags_for_resource(ResourceARN=web_acl["ARN"])[
            "TagInfoForResource"
        ]["TagList"]
        # No description: the emulator's update leaves the first one, which is no drift.
        return {
            "arn": web_acl["ARN"],
            "capacity": web_acl.get("Capacity", 0),
            "lockToken": answer["LockToken"],
            "name": web_acl["Name"],
            "scope": "CLOUDFRONT" if ":global/" in web_acl["ARN"] else "REGIONAL",
            "defaultAction": to_pulumi_case(web_acl["DefaultAction"], CASE_EXCEPTIONS),
            "rules": to_pulumi_case(web_acl.get("Rules", []), CASE_EXCEPTIONS),
            "visibilityConfig": to_pulumi_case(web_acl["VisibilityConfig"], CASE_EXCEPTIONS),
            "tags": tag_map(tags),
            "tagsAll": tag_map(tags),
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        state = {"name": new["name"], "scope": new["scope"]}
        client = aws("wafv2", new.get("region"))
        answer = client.get_web_acl(**_web_acl_key(id, state))
        done = client.update_web_acl(**_web_acl_key(id, state), **_body(new), LockToken=answer["LockToken"])
        arn = answer["WebACL"]["ARN"]
        before = old.get("tagsAll") or {}
        after = new.get("tagsAll") or {}
        gone = [key for key in before if key not in after]
        if gone:
            client.untag_resource(ResourceARN=arn, TagKeys=gone)
        if after:
            client.tag_resource(ResourceARN=arn, Tags=tag_list(new))
        return {"lockToken": done["NextLockToken"]}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        answer = _find(aws, id, state)
        if answer:
            client = aws("wafv2", state.get("region"))
            client.delete_web_acl(**_web_acl_key(id, state), LockToken=answer["LockToken"])


class WebAclAssociationResource(ResourceType):
    """Its id is web ACL and resource, as one text."""

    type_name = "aws:wafv2/webAclAssociation:WebAclAssociation"
    inputs = property_names("resourceArn webAclArn")
    force_replacement = inputs
    delete_before_replace = True  # a resource has one web ACL

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        aws("wafv2").associate_web_acl(WebACLArn=inputs["webAclArn"], ResourceArn=inputs["resourceArn"])
        return f"{inputs['webAclArn']},{inputs['resourceArn']}", {}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        _, _, resource = id.partition(",")
        try:
            web_acl = aws("wafv2").get_web_acl_for_resource(ResourceArn=resource)["WebACL"]
        except aws("wafv2").exceptions.WAFNonexistentItemException:
            return None
        return {"webAclArn": web_acl["ARN"], "resourceArn": resource}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("wafv2").disassociate_web_acl(ResourceArn=state["resourceArn"])


class WebAclLoggingConfigurationResource(StateOnlyResourceType):
    type_name = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
    inputs = property_names("logDestinationConfigs resourceArn loggingFilter redactedFields region")
    force_replacement = property_names("logDestinationConfigs resourceArn region")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        return inputs["resourceArn"], {}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        return state or {"resourceArn": id}


def _web_acl_key(id: str, state: Properties) -> dict[str, str]:
    """Returns id, name and scope of a web ACL as AWS's calls take them; an import gives id/name/scope."""
    number, name, scope = [*id.split("/"), state.get("name", ""), state.get("scope", "")][:3]
    return {"Id": number, "Name": name, "Scope": scope}


def _find(aws: ProviderContext, id: str, state: Properties) -> Any:
    client = aws("wafv2", state.get("region"))
    try:
        return client.get_web_acl(**_web_acl_key(id, state))
    except client.exceptions.WAFNonexistentItemException:
        return None


def _body(inputs: Properties) -> dict[str, Any]:
    description = {"Description": inputs["description"]} if inputs.get("description") else {}
    return {
        "DefaultAction": to_aws_case(inputs["defaultAction"], CASE_EXCEPTIONS),
        "Rules": to_aws_case(inputs.get("rules") or [], CASE_EXCEPTIONS),
        "VisibilityConfig": to_aws_case(inputs["visibilityConfig"], CASE_EXCEPTIONS),
        **description,
    }


def _check_rule(rule: Properties) -> None:
    """Refuses statements whose parts AWS spells in another way than by capital letters."""
    for kind, parts in rule["statement"].items():
        if kind not in SUPPORTED_STATEMENTS:
            raise UnsupportedOperation(
                f"rule {rule['name']}: the local provider does {' and '.join(SUPPORTED_STATEMENTS)}, not {kind}"
            )
        unsupported = set(parts) - SUPPORTED_STATEMENTS[kind]
        if unsupported:
            raise UnsupportedOperation(f"rule {rule['name']}: the local provider does not do {kind}.{min(unsupported)}")
