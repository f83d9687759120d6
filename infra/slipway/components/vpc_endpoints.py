"""Interface VPC endpoints: AWS services reached inside the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

TASK_ENDPOINTS = ("ecr.api", "ecr.dkr", "logs", "secretsmanager", "sqs")
"""Services that a task needs to pull its image, log, read its secrets and take jobs. S3 has a gateway endpoint."""
MONITORING_ENDPOINTS = ("ecs", "ec2", "sns")
"""Services that Prometheus discovers tasks by, and that Alertmanager publishes to."""
GRAFANA_ENDPOINTS = ("monitoring",)
"""CloudWatch, whose metrics Grafana shows."""
TRACING_ENDPOINTS = ("xray",)
"""X-Ray, which the trace collector writes to."""
MANAGED_PROMETHEUS_ENDPOINTS = ("aps-workspaces",)
"""Amazon Managed Prometheus, which Prometheus writes to."""


@dataclass(frozen=True)
class VpcEndpointsArgs:
    """Inputs of `VpcEndpoints`."""

    vpc_id: pulumi.Input[str]
    cidr: str
    """CIDR block that may reach them: the VPC's."""
    subnet_ids: Sequence[pulumi.Input[str]]
    services: Sequence[str] = TASK_ENDPOINTS


class VpcEndpoints(pulumi.ComponentResource):
    """Creates an interface endpoint for each service, with a security group that lets the VPC in over HTTPS.

    Costs 0.01 USD an hour for each endpoint and zone: 73 USD a month for five in two zones; a NAT gateway costs 33.
    """

    def __init__(self, name: str, args: VpcEndpointsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:ec2:VpcEndpoints", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            f"{name}-endpoints",
            description="AWS endpoints: reached from the network, reach nothing",
            vpc_id=args.vpc_id,
            opts=child,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-endpoints",
            security_group_id=group.id,
            description="HTTPS from the network",
            cidr_ipv4=args.cidr,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            opts=child,
        )
        region = aws.get_region_output(opts=pulumi.InvokeOutputOptions(parent=self)).region
        for service in args.services:
            label = f"{name}-{service.replace('.', '-')}"
            aws.ec2.VpcEndpoint(
                label,
                vpc_id=args.vpc_id,
                service_name=pulumi.Output.format("com.amazonaws.{0}.{1}", region, service),
                vpc_endpoint_type="Interface",
                subnet_ids=list(args.subnet_ids),
                security_group_ids=[group.id],
                private_dns_enabled=True,
                tags={"Name": label},
                opts=child,
            )
        self.register_outputs({})
