"""VPC flow logs of rejected connections."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.iam_roles import create_service_role


@dataclass(frozen=True)
class FlowLogsArgs:
    """Inputs of `FlowLogs`."""

    vpc_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    retention_days: int = 30


class FlowLogs(pulumi.ComponentResource):
    """Logs the rejected connections of a VPC to a log group (EC2.6), with the role that writes it.

    Costs 0.50 USD a GB of logs; rejected connections are few, while all traffic would be a large part of the bill.
    """

    def __init__(self, name: str, args: FlowLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:ec2:FlowLogs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        logs = aws.cloudwatch.LogGroup(
            f"{name}-flow-logs", retention_in_days=args.retention_days, kms_key_id=args.key_arn, opts=child
        )
        role, _ = create_service_role(
            f"{name}-flow-logs",
            "vpc-flow-logs.amazonaws.com",
            [
                {
                    "Effect": "Allow",
                    "Action": ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                    "Resource": pulumi.Output.format("{0}:*", logs.arn),
                }
            ],
            parent=self,
        )
        aws.ec2.FlowLog(
            f"{name}-flow-logs",
            vpc_id=args.vpc_id,
            traffic_type="REJECT",
            log_destination_type="cloud-watch-logs",
            log_destination=logs.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=600,
            opts=child,
        )
        self.register_outputs({})
