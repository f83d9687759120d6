"""Application Auto Scaling. ministack has none: both types live in the engine's state only, and nothing scales."""

from __future__ import annotations

from hashlib import sha256

from infra.local.provider.kind import Context, Properties, StateOnly, set_of


class Target(StateOnly):
    type_name = "aws:appautoscaling/target:Target"
    inputs = set_of(
        "minCapacity maxCapacity resourceId scalableDimension serviceNamespace roleArn suspendedState tags tagsAll"
    )
    replace = set_of("resourceId scalableDimension serviceNamespace")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        name = _made_up(given["resourceId"])
        arn = f"arn:aws:application-autoscaling:{aws.region}:{aws.account}:scalable-target/{name}"
        return given["resourceId"], {"arn": arn}


class Policy(StateOnly):
    type_name = "aws:appautoscaling/policy:Policy"
    inputs = set_of(
        "name policyType resourceId scalableDimension serviceNamespace targetTrackingScalingPolicyConfiguration"
    )
    replace = set_of("name resourceId scalableDimension serviceNamespace")
    named = ("name", 255)

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        name, resource = given["name"], given["resourceId"]
        where = f"{_made_up(name)}:resource/{given['serviceNamespace']}/{resource}:policyName/{name}"
        arn = f"arn:aws:autoscaling:{aws.region}:{aws.account}:scalingPolicy:{where}"
        return name, {"arn": arn, "alarmArns": []}


def _made_up(name: str) -> str:
    """What stands for the identifier that AWS would choose."""
    return sha256(name.encode()).hexdigest()[:32]
