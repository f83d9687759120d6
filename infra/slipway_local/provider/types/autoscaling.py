"""Application Auto Scaling. Policies live in the engine's state only, and no load is measured.

What is deployed still counts: a service gets the lowest count of tasks that its scalable target allows, for that is
where target tracking comes to without load.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import Any

from botocore.exceptions import ClientError

from slipway_local.provider.resource_type import (
    Properties,
    ProviderContext,
    StateOnlyResourceType,
    is_not_found,
    property_names,
)


class ScalableTargetResource(StateOnlyResourceType):
    type_name = "aws:appautoscaling/target:Target"
    inputs = property_names(
        "minCapacity maxCapacity resourceId scalableDimension serviceNamespace roleArn suspendedState tags tagsAll"
    )
    force_replacement = property_names("resourceId scalableDimension serviceNamespace")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        name = _fake_id(inputs["resourceId"])
        arn = f"arn:aws:application-autoscaling:{aws.region}:{aws.account}:scalable-target/{name}"
        _register_target(aws, inputs)
        _scale_service(aws, inputs)
        return inputs["resourceId"], {"arn": arn}

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        _register_target(aws, new)
        _scale_service(aws, new)
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        client = aws("application-autoscaling")
        with suppress(client.exceptions.ObjectNotFoundException):
            client.deregister_scalable_target(**_target_key(state))


class ScalingPolicyResource(StateOnlyResourceType):
    type_name = "aws:appautoscaling/policy:Policy"
    inputs = property_names(
        "name policyType resourceId scalableDimension serviceNamespace targetTrackingScalingPolicyConfiguration"
    )
    force_replacement = property_names("name resourceId scalableDimension serviceNamespace")
    name_property = ("name", 255)

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        name = inputs["name"]
        resource = inputs["resourceId"]
        where = f"{_fake_id(name)}:resource/{inputs['serviceNamespace']}/{resource}:policyName/{name}"
        arn = f"arn:aws:autoscaling:{aws.region}:{aws.account}:scalingPolicy:{where}"
        return name, {"arn": arn, "alarmArns": []}


def _target_key(target: Properties) -> dict[str, Any]:
    return {
        "ServiceNamespace": target["serviceNamespace"],
        "ResourceId": target["resourceId"],
        "ScalableDimension": target["scalableDimension"],
    }


def _register_target(aws: ProviderContext, target: Properties) -> None:
    aws("application-autoscaling").register_scalable_target(
        **_target_key(target), MinCapacity=int(target["minCapacity"]), MaxCapacity=int(target["maxCapacity"])
    )


def _scale_service(aws: ProviderContext, target: Properties) -> None:
    """Sets the desired count of a scalable target's ECS service to its lowest capacity, where there is that service."""
    namespace, _, rest = target["resourceId"].partition("/")
    cluster, _, service = rest.partition("/")
    if namespace != "service" or target.get("suspendedState"):
        return
    try:
        services = aws("ecs").describe_services(cluster=cluster, services=[service])["services"]
    except ClientError as error:
        if is_not_found(error):
            return
        raise
    count = int(target["minCapacity"])
    if services and services[0]["status"] == "ACTIVE" and services[0]["desiredCount"] != count:
        aws("ecs").update_service(cluster=cluster, service=service, desiredCount=count)


def _fake_id(name: str) -> str:
    """Returns a stand-in for the identifier that AWS would choose."""
    return sha256(name.encode()).hexdigest()[:32]
