"""EventBridge Scheduler."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

from slipway_local.provider.case_conversion import to_aws_case, to_pulumi_case
from slipway_local.provider.resource_type import Properties, ProviderContext, ResourceType, property_names

_FIELDS = {
    "description": "Description",
    "scheduleExpression": "ScheduleExpression",
    "scheduleExpressionTimezone": "ScheduleExpressionTimezone",
    "state": "State",
    "kmsKeyArn": "KmsKeyArn",
}
CASE_EXCEPTIONS = {"enableEcsManagedTags": "EnableECSManagedTags"}


class ScheduleResource(ResourceType):
    type_name = "aws:scheduler/schedule:Schedule"
    inputs = property_names("name groupName flexibleTimeWindow target", *_FIELDS)
    force_replacement = property_names("name groupName")
    name_property = ("name", 64)
    defaults: ClassVar = {"groupName": "default", "scheduleExpressionTimezone": "UTC", "state": "ENABLED"}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        created = aws("scheduler").create_schedule(**_request(inputs))
        return f"{inputs['groupName']}/{inputs['name']}", {"arn": created["ScheduleArn"]}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        group, name = id.split("/")
        with suppress(aws("scheduler").exceptions.ResourceNotFoundException):
            resource = aws("scheduler").get_schedule(GroupName=group, Name=name)
            return {
                "name": name,
                "groupName": group,
                "arn": resource["Arn"],
                "flexibleTimeWindow": to_pulumi_case(resource["FlexibleTimeWindow"]),
                "target": _target_property(resource["Target"]),
                **{key: resource.get(inputs) or None for key, inputs in _FIELDS.items()},
            }
        return None

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        aws("scheduler").update_schedule(**_request(new))
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        group, name = id.split("/")
        aws("scheduler").delete_schedule(GroupName=group, Name=name)


def _request(inputs: Properties) -> dict[str, Any]:
    target = to_aws_case(inputs["target"], CASE_EXCEPTIONS)
    network = target.get("EcsParameters", {}).pop("NetworkConfiguration", None)
    if network:
        network["AssignPublicIp"] = "ENABLED" if network.get("AssignPublicIp") else "DISABLED"
        target["EcsParameters"]["NetworkConfiguration"] = {"awsvpcConfiguration": network}
    return {
        "Name": inputs["name"],
        "GroupName": inputs["groupName"],
        "FlexibleTimeWindow": to_aws_case(inputs["flexibleTimeWindow"]),
        "Target": target,
        **{name: inputs[key] for key, name in _FIELDS.items() if inputs.get(key)},
    }


def _target_property(resource: dict[str, Any]) -> Properties:
    target: Properties = to_pulumi_case(resource, CASE_EXCEPTIONS)
    network = target.get("ecsParameters", {}).get("networkConfiguration", {}).get("awsvpcConfiguration")
    if network:
        network["assignPublicIp"] = network.get("assignPublicIp") == "ENABLED"
        target["ecsParameters"]["networkConfiguration"] = network
    return target
