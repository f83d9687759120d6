"""EventBridge Scheduler."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

from infra.local.provider.kind import Context, Kind, Properties, set_of
from infra.local.provider.spelling import as_amazon, as_pulumi

_FIELDS = {
    "description": "Description",
    "scheduleExpression": "ScheduleExpression",
    "scheduleExpressionTimezone": "ScheduleExpressionTimezone",
    "state": "State",
    "kmsKeyArn": "KmsKeyArn",
}
UNLIKE = {"enableEcsManagedTags": "EnableECSManagedTags"}


class Schedule(Kind):
    type_name = "aws:scheduler/schedule:Schedule"
    inputs = set_of("name groupName flexibleTimeWindow target", *_FIELDS)
    replace = set_of("name groupName")
    named = ("name", 64)
    defaults: ClassVar = {"groupName": "default", "scheduleExpressionTimezone": "UTC", "state": "ENABLED"}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        made = aws("scheduler").create_schedule(**_request(given))
        return f"{given['groupName']}/{given['name']}", {"arn": made["ScheduleArn"]}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        group, name = id.split("/")
        with suppress(aws("scheduler").exceptions.ResourceNotFoundException):
            found = aws("scheduler").get_schedule(GroupName=group, Name=name)
            return {
                "name": name,
                "groupName": group,
                "arn": found["Arn"],
                "flexibleTimeWindow": as_pulumi(found["FlexibleTimeWindow"]),
                "target": _target_property(found["Target"]),
                **{key: found.get(given) or None for key, given in _FIELDS.items()},
            }
        return None

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        aws("scheduler").update_schedule(**_request(new))
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        group, name = id.split("/")
        aws("scheduler").delete_schedule(GroupName=group, Name=name)


def _request(given: Properties) -> dict[str, Any]:
    target = as_amazon(given["target"], UNLIKE)
    network = target.get("EcsParameters", {}).pop("NetworkConfiguration", None)
    if network:
        network["AssignPublicIp"] = "ENABLED" if network.get("AssignPublicIp") else "DISABLED"
        target["EcsParameters"]["NetworkConfiguration"] = {"awsvpcConfiguration": network}
    return {
        "Name": given["name"],
        "GroupName": given["groupName"],
        "FlexibleTimeWindow": as_amazon(given["flexibleTimeWindow"]),
        "Target": target,
        **{name: given[key] for key, name in _FIELDS.items() if given.get(key)},
    }


def _target_property(found: dict[str, Any]) -> Properties:
    target: Properties = as_pulumi(found, UNLIKE)
    network = target.get("ecsParameters", {}).get("networkConfiguration", {}).get("awsvpcConfiguration")
    if network:
        network["assignPublicIp"] = network.get("assignPublicIp") == "ENABLED"
        target["ecsParameters"]["networkConfiguration"] = network
    return target
