"""EC2: flow logs of a VPC."""

from __future__ import annotations

from typing import ClassVar

from slipway_local.provider.resource_type import (
    Properties,
    ProviderContext,
    ResourceType,
    property_names,
    tag_list,
    tag_map,
)


class FlowLogResource(ResourceType):
    """The emulator keeps it and logs nothing."""

    type_name = "aws:ec2/flowLog:FlowLog"
    inputs = property_names(
        "vpcId trafficType logDestinationType logDestination iamRoleArn maxAggregationInterval tags tagsAll"
    )
    force_replacement = inputs - property_names("tags tagsAll")
    defaults: ClassVar = {"logDestinationType": "cloud-watch-logs", "maxAggregationInterval": 600}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        optional = {
            "LogDestination": inputs.get("logDestination"),
            "DeliverLogsPermissionArn": inputs.get("iamRoleArn"),
            "TrafficType": inputs.get("trafficType"),
        }
        created = aws("ec2").create_flow_logs(
            ResourceIds=[inputs["vpcId"]],
            ResourceType="VPC",
            LogDestinationType=inputs["logDestinationType"],
            MaxAggregationInterval=inputs["maxAggregationInterval"],
            **{key: value for key, value in optional.items() if value},
        )
        id = created["FlowLogIds"][0]
        if tag_list(inputs):
            aws("ec2").create_tags(Resources=[id], Tags=tag_list(inputs))
        return id, {"arn": _arn(aws, id)}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        logs = aws("ec2").describe_flow_logs(FlowLogIds=[id])["FlowLogs"]
        if not logs:
            return None
        resource = logs[0]
        tags = tag_map(resource.get("Tags"))
        # The emulator tells neither the role nor the interval, so those cannot be compared.
        return {
            "arn": _arn(aws, id),
            "vpcId": resource["ResourceId"],
            "trafficType": resource["TrafficType"],
            "logDestinationType": resource["LogDestinationType"],
            "logDestination": resource.get("LogDestination"),
            "tags": tags,
            "tagsAll": tags,
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        before = old.get("tagsAll") or {}
        after = new.get("tagsAll") or {}
        gone = [{"Key": key} for key in before if key not in after]
        if gone:
            aws("ec2").delete_tags(Resources=[id], Tags=gone)
        if after:
            aws("ec2").create_tags(Resources=[id], Tags=tag_list(new))
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("ec2").delete_flow_logs(FlowLogIds=[id])


def _arn(aws: ProviderContext, id: str) -> str:
    return f"arn:aws:ec2:{aws.region}:{aws.account}:vpc-flow-log/{id}"
