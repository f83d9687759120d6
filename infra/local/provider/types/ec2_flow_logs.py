"""EC2: flow logs of a VPC."""

from __future__ import annotations

from typing import ClassVar

from infra.local.provider.kind import Context, Kind, Properties, set_of, tag_list, tag_map


class FlowLog(Kind):
    """The emulator keeps it and logs nothing."""

    type_name = "aws:ec2/flowLog:FlowLog"
    inputs = set_of(
        "vpcId trafficType logDestinationType logDestination iamRoleArn maxAggregationInterval tags tagsAll"
    )
    replace = inputs - set_of("tags tagsAll")
    defaults: ClassVar = {"logDestinationType": "cloud-watch-logs", "maxAggregationInterval": 600}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        optional = {
            "LogDestination": given.get("logDestination"),
            "DeliverLogsPermissionArn": given.get("iamRoleArn"),
            "TrafficType": given.get("trafficType"),
        }
        made = aws("ec2").create_flow_logs(
            ResourceIds=[given["vpcId"]],
            ResourceType="VPC",
            LogDestinationType=given["logDestinationType"],
            MaxAggregationInterval=given["maxAggregationInterval"],
            **{key: value for key, value in optional.items() if value},
        )
        id = made["FlowLogIds"][0]
        if tag_list(given):
            aws("ec2").create_tags(Resources=[id], Tags=tag_list(given))
        return id, {"arn": _arn(aws, id)}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        logs = aws("ec2").describe_flow_logs(FlowLogIds=[id])["FlowLogs"]
        if not logs:
            return None
        found = logs[0]
        tags = tag_map(found.get("Tags"))
        # The emulator tells neither the role nor the interval, so those cannot be compared.
        return {
            "arn": _arn(aws, id),
            "vpcId": found["ResourceId"],
            "trafficType": found["TrafficType"],
            "logDestinationType": found["LogDestinationType"],
            "logDestination": found.get("LogDestination"),
            "tags": tags,
            "tagsAll": tags,
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        before, after = old.get("tagsAll") or {}, new.get("tagsAll") or {}
        gone = [{"Key": key} for key in before if key not in after]
        if gone:
            aws("ec2").delete_tags(Resources=[id], Tags=gone)
        if after:
            aws("ec2").create_tags(Resources=[id], Tags=tag_list(new))
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("ec2").delete_flow_logs(FlowLogIds=[id])


def _arn(aws: Context, id: str) -> str:
    return f"arn:aws:ec2:{aws.region}:{aws.account}:vpc-flow-log/{id}"
