"""Elastic Load Balancing: load balancers and target groups."""

from __future__ import annotations

from typing import Any

from slipway_local.provider.resource_type import (
    Properties,
    ProviderContext,
    ResourceType,
    UnsupportedOperation,
    property_names,
    tag_list,
)

LOAD_BALANCER_ATTRIBUTES = {
    "idleTimeout": "idle_timeout.timeout_seconds",
    "dropInvalidHeaderFields": "routing.http.drop_invalid_header_fields.enabled",
    "desyncMitigationMode": "routing.http.desync_mitigation_mode",
    "enableDeletionProtection": "deletion_protection.enabled",
    "xffHeaderProcessingMode": "routing.http.xff_header_processing.mode",
}
TARGET_GROUP_ATTRIBUTES = {
    "deregistrationDelay": "deregistration_delay.timeout_seconds",
    "loadBalancingAlgorithmType": "load_balancing.algorithm.type",
    "slowStart": "slow_start.duration_seconds",
}


class LoadBalancerResource(ResourceType):
    """Its address is the local one: the name below .alb.localhost, with the local AWS's port."""

    type_name = "aws:lb/loadBalancer:LoadBalancer"
    inputs = property_names(
        "name loadBalancerType internal subnets securityGroups accessLogs tags tagsAll", *LOAD_BALANCER_ATTRIBUTES
    )
    force_replacement = property_names("name loadBalancerType internal")
    name_property = ("name", 32)

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        created = aws("elbv2").create_load_balancer(
            Name=inputs["name"],
            Subnets=inputs.get("subnets", []),
            SecurityGroups=inputs.get("securityGroups", []),
            Scheme="internal" if inputs.get("internal") else "internet-facing",
            Type=inputs.get("loadBalancerType", "application"),
            **tags_argument(inputs),
        )["LoadBalancers"][0]
        arn = created["LoadBalancerArn"]
        self._attributes(aws, arn, inputs)
        return arn, self._outputs(aws, created)

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        balancers = aws("elbv2").describe_load_balancers()["LoadBalancers"]
        resource = next((b for b in balancers if b["LoadBalancerArn"] == id), None)
        if resource is None:
            return None
        attributes = _read_attributes(aws("elbv2").describe_load_balancer_attributes(LoadBalancerArn=id))
        return {
            **self._outputs(aws, resource),
            "name": resource["LoadBalancerName"],
            "internal": resource["Scheme"] == "internal",
            "loadBalancerType": resource["Type"],
            "securityGroups": resource.get("SecurityGroups"),
            "accessLogs": {
                "enabled": attributes.get("access_logs.s3.enabled") == "true",
                "bucket": attributes.get("access_logs.s3.bucket"),
                "prefix": attributes.get("access_logs.s3.prefix"),
            },
            **{key: _typed(attributes[name]) for key, name in LOAD_BALANCER_ATTRIBUTES.items() if name in attributes},
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        if old.get("subnets") != new.get("subnets"):
            aws("elbv2").set_subnets(LoadBalancerArn=id, Subnets=new.get("subnets", []))
        if old.get("securityGroups") != new.get("securityGroups"):
            aws("elbv2").set_security_groups(LoadBalancerArn=id, SecurityGroups=new.get("securityGroups", []))
        # Only what differs, as the official provider does: the program itself changes the idle time-out.
        self._attributes(aws, id, {key: value for key, value in new.items() if value != old.get(key)})
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        if state.get("enableDeletionProtection"):
            raise UnsupportedOperation(
                f"{id} is protected from deletion (enableDeletionProtection): switch that off first"
            )
        aws("elbv2").delete_load_balancer(LoadBalancerArn=id)

    def _attributes(self, aws: ProviderContext, arn: str, inputs: Properties) -> None:
        pairs = [(name, inputs[key]) for key, name in LOAD_BALANCER_ATTRIBUTES.items() if key in inputs]
        logs = inputs.get("accessLogs") or {}
        pairs.append(("access_logs.s3.enabled", bool(logs.get("enabled"))))
        if logs.get("enabled"):
            pairs += [("access_logs.s3.bucket", logs["bucket"]), ("access_logs.s3.prefix", logs.get("prefix", ""))]
        aws("elbv2").modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=_pairs(pairs))

    def _outputs(self, aws: ProviderContext, resource: Any) -> Properties:
        return {
            "arn": resource["LoadBalancerArn"],
            "arnSuffix": resource["LoadBalancerArn"].split(":loadbalancer/")[1],
            "dnsName": f"{resource['LoadBalancerName']}.alb.localhost:{aws.port}",
            "zoneId": "Z35SXDOTRQ7X7K",
            "vpcId": resource.get("VpcId", ""),
        }


class TargetGroupResource(ResourceType):
    type_name = "aws:lb/targetGroup:TargetGroup"
    inputs = property_names("name vpcId targetType port protocol healthCheck tags tagsAll", *TARGET_GROUP_ATTRIBUTES)
    force_replacement = property_names("name vpcId targetType port protocol")
    name_property = ("name", 32)

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        created = aws("elbv2").create_target_group(
            Name=inputs["name"],
            VpcId=inputs["vpcId"],
            TargetType=inputs.get("targetType", "instance"),
            Port=inputs["port"],
            Protocol=inputs["protocol"],
            **tags_argument(inputs),
            **_health_check(inputs),
        )["TargetGroups"][0]
        arn = created["TargetGroupArn"]
        self._attributes(aws, arn, inputs)
        return arn, self._outputs(created)

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        groups = aws("elbv2").describe_target_groups()["TargetGroups"]
        resource = next((g for g in groups if g["TargetGroupArn"] == id), None)
        if resource is None:
            return None
        attributes = _read_attributes(aws("elbv2").describe_target_group_attributes(TargetGroupArn=id))
        return {
            **self._outputs(resource),
            "name": resource["TargetGroupName"],
            "vpcId": resource.get("VpcId"),
            "targetType": resource["TargetType"],
            "port": resource["Port"],
            "protocol": resource["Protocol"],
            "healthCheck": {
                "path": resource.get("HealthCheckPath"),
                "interval": resource.get("HealthCheckIntervalSeconds"),
                "timeout": resource.get("HealthCheckTimeoutSeconds"),
                "healthyThreshold": resource.get("HealthyThresholdCount"),
                "unhealthyThreshold": resource.get("UnhealthyThresholdCount"),
                "matcher": (resource.get("Matcher") or {}).get("HttpCode"),
            },
            **{key: _typed(attributes[name]) for key, name in TARGET_GROUP_ATTRIBUTES.items() if name in attributes},
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        if _health_check(new):
            aws("elbv2").modify_target_group(TargetGroupArn=id, **_health_check(new))
        # Only what differs, as the official provider does: the program itself changes the deregistration delay.
        self._attributes(aws, id, {key: value for key, value in new.items() if value != old.get(key)})
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("elbv2").delete_target_group(TargetGroupArn=id)

    def _attributes(self, aws: ProviderContext, arn: str, inputs: Properties) -> None:
        pairs = [(name, inputs[key]) for key, name in TARGET_GROUP_ATTRIBUTES.items() if key in inputs]
        if pairs:
            aws("elbv2").modify_target_group_attributes(TargetGroupArn=arn, Attributes=_pairs(pairs))

    def _outputs(self, resource: Any) -> Properties:
        return {"arn": resource["TargetGroupArn"], "arnSuffix": resource["TargetGroupArn"].split(":")[-1]}


def tags_argument(inputs: Properties) -> dict[str, Any]:
    """Returns the argument for all tags; none without any, for AWS refuses an empty list here."""
    return {"Tags": tag_list(inputs)} if tag_list(inputs) else {}


def _health_check(inputs: Properties) -> dict[str, Any]:
    check = inputs.get("healthCheck") or {}
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
    unsupported = set(check) - set(words) - {"matcher"}
    if unsupported:
        raise UnsupportedOperation(f"the local provider does not do healthCheck.{min(unsupported)}")
    resource: dict[str, Any] = {word: check[key] for key, word in words.items() if key in check}
    return resource | ({"Matcher": {"HttpCode": check["matcher"]}} if check.get("matcher") else {})


def _pairs(pairs: list[tuple[str, Any]]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": str(v).lower() if isinstance(v, bool) else str(v)} for key, v in pairs]


def _read_attributes(answer: Any) -> dict[str, str]:
    return {pair["Key"]: pair["Value"] for pair in answer["Attributes"]}


def _typed(value: str) -> Any:
    if value in ("true", "false"):
        return value == "true"
    return int(value) if value.isdigit() else value
