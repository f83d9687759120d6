"""Elastic Load Balancing: listeners, their rules and certificates."""

from __future__ import annotations

from typing import Any

from slipway_local.provider.case_conversion import to_aws_case, to_pulumi_case
from slipway_local.provider.resource_type import (
    Properties,
    ProviderContext,
    ResourceType,
    StateOnlyResourceType,
    UnsupportedOperation,
    property_names,
)
from slipway_local.provider.types.elb import tags_argument


class ListenerResource(ResourceType):
    type_name = "aws:lb/listener:Listener"
    inputs = property_names("loadBalancerArn port protocol sslPolicy certificateArn defaultActions tags tagsAll")
    force_replacement = property_names("loadBalancerArn")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        created = aws("elbv2").create_listener(
            LoadBalancerArn=inputs["loadBalancerArn"],
            Port=inputs["port"],
            Protocol=inputs.get("protocol", "HTTP"),
            DefaultActions=[_action(action) for action in inputs["defaultActions"]],
            **tags_argument(inputs),
            **_tls(inputs),
        )["Listeners"][0]
        return created["ListenerArn"], {"arn": created["ListenerArn"]}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        balancer = state.get("loadBalancerArn") or id.replace(":listener/", ":loadbalancer/").rsplit("/", 1)[0]
        listeners = aws("elbv2").describe_listeners(LoadBalancerArn=balancer)["Listeners"]
        resource = next((x for x in listeners if x["ListenerArn"] == id), None)
        return resource and {
            "arn": id,
            "loadBalancerArn": resource["LoadBalancerArn"],
            "port": resource["Port"],
            "protocol": resource["Protocol"],
            "sslPolicy": resource.get("SslPolicy"),
            "certificateArn": (resource.get("Certificates") or [{}])[0].get("CertificateArn"),
            "defaultActions": [_read_action(action) for action in resource["DefaultActions"]],
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        aws("elbv2").modify_listener(
            ListenerArn=id,
            Port=new["port"],
            Protocol=new.get("protocol", "HTTP"),
            DefaultActions=[_action(action) for action in new["defaultActions"]],
            **_tls(new),
        )
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("elbv2").delete_listener(ListenerArn=id)


class ListenerRuleResource(ResourceType):
    type_name = "aws:lb/listenerRule:ListenerRule"
    inputs = property_names("listenerArn priority conditions actions tags tagsAll")
    force_replacement = property_names("listenerArn")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        created = aws("elbv2").create_rule(
            ListenerArn=inputs["listenerArn"],
            Priority=inputs["priority"],
            Conditions=[_condition(condition) for condition in inputs["conditions"]],
            Actions=[_action(action) for action in inputs["actions"]],
            **tags_argument(inputs),
        )["Rules"][0]
        return created["RuleArn"], {"arn": created["RuleArn"]}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        listener = state.get("listenerArn") or id.replace(":listener-rule/", ":listener/").rsplit("/", 1)[0]
        rules = aws("elbv2").describe_rules(ListenerArn=listener)["Rules"]
        resource = next((rule for rule in rules if rule["RuleArn"] == id), None)
        return resource and {
            "arn": id,
            "listenerArn": listener,
            "priority": int(resource["Priority"]),
            "actions": [_read_action(action) for action in resource["Actions"]],
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        aws("elbv2").modify_rule(
            RuleArn=id,
            Conditions=[_condition(condition) for condition in new["conditions"]],
            Actions=[_action(action) for action in new["actions"]],
        )
        if old.get("priority") != new["priority"]:
            aws("elbv2").set_rule_priorities(RulePriorities=[{"RuleArn": id, "Priority": new["priority"]}])
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("elbv2").delete_rule(RuleArn=id)


class ListenerCertificateResource(StateOnlyResourceType):
    """A certificate in addition to the listener's own: ministack has none, and its load balancers have no TLS."""

    type_name = "aws:lb/listenerCertificate:ListenerCertificate"
    inputs = property_names("listenerArn certificateArn")
    force_replacement = property_names("listenerArn certificateArn")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        return f"{inputs['listenerArn']}_{inputs['certificateArn']}", {}


def _tls(inputs: Properties) -> dict[str, Any]:
    resource: dict[str, Any] = {}
    if inputs.get("certificateArn"):
        resource["Certificates"] = [{"CertificateArn": inputs["certificateArn"]}]
    if inputs.get("sslPolicy"):
        resource["SslPolicy"] = inputs["sslPolicy"]
    return resource


def _action(action: Properties) -> dict[str, Any]:
    kind = action["type"]
    if kind == "forward" and action.get("targetGroupArn"):
        return {"Type": "forward", "TargetGroupArn": action["targetGroupArn"]}
    if kind == "fixed-response":
        response = action["fixedResponse"]
        return {
            "Type": kind,
            "FixedResponseConfig": {
                "ContentType": response["contentType"],
                "MessageBody": response.get("messageBody", ""),
                "StatusCode": str(response["statusCode"]),
            },
        }
    if kind == "redirect":
        return {"Type": kind, "RedirectConfig": to_aws_case(action["redirect"])}
    raise UnsupportedOperation(f"the local provider does not do this listener action: {kind} {sorted(action)}")


def _read_action(action: dict[str, Any]) -> Properties:
    resource: Properties = {"type": action["Type"], "targetGroupArn": action.get("TargetGroupArn")}
    if action.get("FixedResponseConfig"):
        config = action["FixedResponseConfig"]
        resource["fixedResponse"] = {
            "contentType": config.get("ContentType"),
            "messageBody": config.get("MessageBody"),
            "statusCode": config.get("StatusCode"),
        }
    if action.get("RedirectConfig"):
        resource["redirect"] = to_pulumi_case(action["RedirectConfig"])
    return resource


def _condition(condition: Properties) -> dict[str, Any]:
    fields = {"pathPattern": ("path-pattern", "PathPatternConfig"), "hostHeader": ("host-header", "HostHeaderConfig")}
    for key, (field, config) in fields.items():
        if condition.get(key):
            return {"Field": field, config: {"Values": condition[key]["values"]}}
    if header := condition.get("httpHeader"):
        named = {"HttpHeaderName": header["httpHeaderName"], "Values": header["values"]}
        return {"Field": "http-header", "HttpHeaderConfig": named}
    raise UnsupportedOperation(f"the local provider does not do this rule condition: {sorted(condition)}")
