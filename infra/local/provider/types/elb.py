"""Elastic Load Balancing: load balancers, target groups, listeners, rules."""

from __future__ import annotations

from typing import Any

from infra.local.provider.kind import Context, Kind, Properties, Refused, StateOnly, set_of, tag_list
from infra.local.provider.spelling import as_amazon, as_pulumi

BALANCER_ATTRIBUTES = {
    "idleTimeout": "idle_timeout.timeout_seconds",
    "dropInvalidHeaderFields": "routing.http.drop_invalid_header_fields.enabled",
    "desyncMitigationMode": "routing.http.desync_mitigation_mode",
    "enableDeletionProtection": "deletion_protection.enabled",
}
GROUP_ATTRIBUTES = {
    "deregistrationDelay": "deregistration_delay.timeout_seconds",
    "loadBalancingAlgorithmType": "load_balancing.algorithm.type",
    "slowStart": "slow_start.duration_seconds",
}


class LoadBalancer(Kind):
    """Its address is the local one: the name below .alb.localhost, with the local AWS's port."""

    type_name = "aws:lb/loadBalancer:LoadBalancer"
    inputs = set_of(
        "name loadBalancerType internal subnets securityGroups accessLogs tags tagsAll", *BALANCER_ATTRIBUTES
    )
    replace = set_of("name loadBalancerType internal")
    named = ("name", 32)

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        made = aws("elbv2").create_load_balancer(
            Name=given["name"],
            Subnets=given.get("subnets", []),
            SecurityGroups=given.get("securityGroups", []),
            Scheme="internal" if given.get("internal") else "internet-facing",
            Type=given.get("loadBalancerType", "application"),
            **_tags(given),
        )["LoadBalancers"][0]
        arn = made["LoadBalancerArn"]
        self._attributes(aws, arn, given)
        return arn, self._outputs(aws, made)

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        balancers = aws("elbv2").describe_load_balancers()["LoadBalancers"]
        found = next((b for b in balancers if b["LoadBalancerArn"] == id), None)
        if found is None:
            return None
        attributes = _read_attributes(aws("elbv2").describe_load_balancer_attributes(LoadBalancerArn=id))
        return {
            **self._outputs(aws, found),
            "name": found["LoadBalancerName"],
            "internal": found["Scheme"] == "internal",
            "loadBalancerType": found["Type"],
            "securityGroups": found.get("SecurityGroups"),
            "accessLogs": {
                "enabled": attributes.get("access_logs.s3.enabled") == "true",
                "bucket": attributes.get("access_logs.s3.bucket"),
                "prefix": attributes.get("access_logs.s3.prefix"),
            },
            **{key: _typed(attributes[name]) for key, name in BALANCER_ATTRIBUTES.items() if name in attributes},
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        if old.get("subnets") != new.get("subnets"):
            aws("elbv2").set_subnets(LoadBalancerArn=id, Subnets=new.get("subnets", []))
        if old.get("securityGroups") != new.get("securityGroups"):
            aws("elbv2").set_security_groups(LoadBalancerArn=id, SecurityGroups=new.get("securityGroups", []))
        self._attributes(aws, id, new)
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        if known.get("enableDeletionProtection"):
            raise Refused(f"{id} is protected from deletion (enableDeletionProtection): switch that off first")
        aws("elbv2").delete_load_balancer(LoadBalancerArn=id)

    def _attributes(self, aws: Context, arn: str, given: Properties) -> None:
        pairs = [(name, given[key]) for key, name in BALANCER_ATTRIBUTES.items() if key in given]
        logs = given.get("accessLogs") or {}
        pairs.append(("access_logs.s3.enabled", bool(logs.get("enabled"))))
        if logs.get("enabled"):
            pairs += [("access_logs.s3.bucket", logs["bucket"]), ("access_logs.s3.prefix", logs.get("prefix", ""))]
        aws("elbv2").modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=_pairs(pairs))

    def _outputs(self, aws: Context, found: Any) -> Properties:
        return {
            "arn": found["LoadBalancerArn"],
            "arnSuffix": found["LoadBalancerArn"].split(":loadbalancer/")[1],
            "dnsName": f"{found['LoadBalancerName']}.alb.localhost:{aws.port}",
            "zoneId": "Z35SXDOTRQ7X7K",
            "vpcId": found.get("VpcId", ""),
        }


class TargetGroup(Kind):
    type_name = "aws:lb/targetGroup:TargetGroup"
    inputs = set_of("name vpcId targetType port protocol healthCheck tags tagsAll", *GROUP_ATTRIBUTES)
    replace = set_of("name vpcId targetType port protocol")
    named = ("name", 32)

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        made = aws("elbv2").create_target_group(
            Name=given["name"],
            VpcId=given["vpcId"],
            TargetType=given.get("targetType", "instance"),
            Port=given["port"],
            Protocol=given["protocol"],
            **_tags(given),
            **_health_check(given),
        )["TargetGroups"][0]
        arn = made["TargetGroupArn"]
        self._attributes(aws, arn, given)
        return arn, self._outputs(made)

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        groups = aws("elbv2").describe_target_groups()["TargetGroups"]
        found = next((g for g in groups if g["TargetGroupArn"] == id), None)
        if found is None:
            return None
        attributes = _read_attributes(aws("elbv2").describe_target_group_attributes(TargetGroupArn=id))
        return {
            **self._outputs(found),
            "name": found["TargetGroupName"],
            "vpcId": found.get("VpcId"),
            "targetType": found["TargetType"],
            "port": found["Port"],
            "protocol": found["Protocol"],
            "healthCheck": {
                "path": found.get("HealthCheckPath"),
                "interval": found.get("HealthCheckIntervalSeconds"),
                "timeout": found.get("HealthCheckTimeoutSeconds"),
                "healthyThreshold": found.get("HealthyThresholdCount"),
                "unhealthyThreshold": found.get("UnhealthyThresholdCount"),
                "matcher": (found.get("Matcher") or {}).get("HttpCode"),
            },
            **{key: _typed(attributes[name]) for key, name in GROUP_ATTRIBUTES.items() if name in attributes},
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        if _health_check(new):
            aws("elbv2").modify_target_group(TargetGroupArn=id, **_health_check(new))
        self._attributes(aws, id, new)
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("elbv2").delete_target_group(TargetGroupArn=id)

    def _attributes(self, aws: Context, arn: str, given: Properties) -> None:
        pairs = [(name, given[key]) for key, name in GROUP_ATTRIBUTES.items() if key in given]
        if pairs:
            aws("elbv2").modify_target_group_attributes(TargetGroupArn=arn, Attributes=_pairs(pairs))

    def _outputs(self, found: Any) -> Properties:
        return {"arn": found["TargetGroupArn"], "arnSuffix": found["TargetGroupArn"].split(":")[-1]}


class Listener(Kind):
    type_name = "aws:lb/listener:Listener"
    inputs = set_of("loadBalancerArn port protocol sslPolicy certificateArn defaultActions tags tagsAll")
    replace = set_of("loadBalancerArn")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        made = aws("elbv2").create_listener(
            LoadBalancerArn=given["loadBalancerArn"],
            Port=given["port"],
            Protocol=given.get("protocol", "HTTP"),
            DefaultActions=[_action(action) for action in given["defaultActions"]],
            **_tags(given),
            **_tls(given),
        )["Listeners"][0]
        return made["ListenerArn"], {"arn": made["ListenerArn"]}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        balancer = known.get("loadBalancerArn") or id.replace(":listener/", ":loadbalancer/").rsplit("/", 1)[0]
        listeners = aws("elbv2").describe_listeners(LoadBalancerArn=balancer)["Listeners"]
        found = next((x for x in listeners if x["ListenerArn"] == id), None)
        return found and {
            "arn": id,
            "loadBalancerArn": found["LoadBalancerArn"],
            "port": found["Port"],
            "protocol": found["Protocol"],
            "sslPolicy": found.get("SslPolicy"),
            "certificateArn": (found.get("Certificates") or [{}])[0].get("CertificateArn"),
            "defaultActions": [_read_action(action) for action in found["DefaultActions"]],
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        aws("elbv2").modify_listener(
            ListenerArn=id,
            Port=new["port"],
            Protocol=new.get("protocol", "HTTP"),
            DefaultActions=[_action(action) for action in new["defaultActions"]],
            **_tls(new),
        )
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("elbv2").delete_listener(ListenerArn=id)


class ListenerRule(Kind):
    type_name = "aws:lb/listenerRule:ListenerRule"
    inputs = set_of("listenerArn priority conditions actions tags tagsAll")
    replace = set_of("listenerArn")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        made = aws("elbv2").create_rule(
            ListenerArn=given["listenerArn"],
            Priority=given["priority"],
            Conditions=[_condition(condition) for condition in given["conditions"]],
            Actions=[_action(action) for action in given["actions"]],
            **_tags(given),
        )["Rules"][0]
        return made["RuleArn"], {"arn": made["RuleArn"]}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        listener = known.get("listenerArn") or id.replace(":listener-rule/", ":listener/").rsplit("/", 1)[0]
        rules = aws("elbv2").describe_rules(ListenerArn=listener)["Rules"]
        found = next((rule for rule in rules if rule["RuleArn"] == id), None)
        return found and {
            "arn": id,
            "listenerArn": listener,
            "priority": int(found["Priority"]),
            "actions": [_read_action(action) for action in found["Actions"]],
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        aws("elbv2").modify_rule(
            RuleArn=id,
            Conditions=[_condition(condition) for condition in new["conditions"]],
            Actions=[_action(action) for action in new["actions"]],
        )
        if old.get("priority") != new["priority"]:
            aws("elbv2").set_rule_priorities(RulePriorities=[{"RuleArn": id, "Priority": new["priority"]}])
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("elbv2").delete_rule(RuleArn=id)


class ListenerCertificate(StateOnly):
    """One beside the listener's own: ministack knows of none, and its load balancers speak no TLS."""

    type_name = "aws:lb/listenerCertificate:ListenerCertificate"
    inputs = set_of("listenerArn certificateArn")
    replace = set_of("listenerArn certificateArn")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        return f"{given['listenerArn']}_{given['certificateArn']}", {}


def _tags(given: Properties) -> dict[str, Any]:
    """AWS refuses an empty list of tags here."""
    return {"Tags": tag_list(given)} if tag_list(given) else {}


def _health_check(given: Properties) -> dict[str, Any]:
    check = given.get("healthCheck") or {}
    words = {
        "path": "HealthCheckPath",
        "port": "HealthCheckPort",
        "protocol": "HealthCheckProtocol",
        "interval": "HealthCheckIntervalSeconds",
        "timeout": "HealthCheckTimeoutSeconds",
        "healthyThreshold": "HealthyThresholdCount",
        "unhealthyThreshold": "UnhealthyThresholdCount",
        "enabled": "HealthCheckEnabled",
    }
    beyond = set(check) - set(words) - {"matcher"}
    if beyond:
        raise Refused(f"the local provider does not do healthCheck.{min(beyond)}")
    found: dict[str, Any] = {word: check[key] for key, word in words.items() if key in check}
    return found | ({"Matcher": {"HttpCode": check["matcher"]}} if check.get("matcher") else {})


def _tls(given: Properties) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if given.get("certificateArn"):
        found["Certificates"] = [{"CertificateArn": given["certificateArn"]}]
    if given.get("sslPolicy"):
        found["SslPolicy"] = given["sslPolicy"]
    return found


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
        return {"Type": kind, "RedirectConfig": as_amazon(action["redirect"])}
    raise Refused(f"the local provider does not do this listener action: {kind} {sorted(action)}")


def _read_action(action: dict[str, Any]) -> Properties:
    found: Properties = {"type": action["Type"], "targetGroupArn": action.get("TargetGroupArn")}
    if action.get("FixedResponseConfig"):
        config = action["FixedResponseConfig"]
        found["fixedResponse"] = {
            "contentType": config.get("ContentType"),
            "messageBody": config.get("MessageBody"),
            "statusCode": config.get("StatusCode"),
        }
    if action.get("RedirectConfig"):
        found["redirect"] = as_pulumi(action["RedirectConfig"])
    return found


def _condition(condition: Properties) -> dict[str, Any]:
    fields = {"pathPattern": ("path-pattern", "PathPatternConfig"), "hostHeader": ("host-header", "HostHeaderConfig")}
    for key, (field, config) in fields.items():
        if condition.get(key):
            return {"Field": field, config: {"Values": condition[key]["values"]}}
    raise Refused(f"the local provider does not do this rule condition: {sorted(condition)}")


def _pairs(pairs: list[tuple[str, Any]]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": str(v).lower() if isinstance(v, bool) else str(v)} for key, v in pairs]


def _read_attributes(answer: Any) -> dict[str, str]:
    return {pair["Key"]: pair["Value"] for pair in answer["Attributes"]}


def _typed(value: str) -> Any:
    if value in ("true", "false"):
        return value == "true"
    return int(value) if value.isdigit() else value
