"""AWS's services inside the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.settings import Settings

INTERFACE_ENDPOINTS = ("ecr.api", "ecr.dkr", "logs", "secretsmanager", "sqs")
"""What a task needs to start and to work: pull its image, log, read its secrets, take jobs. S3 has a gateway."""
OF_MONITORING = ("ecs", "ec2", "sns")
"""What Prometheus asks which tasks run, and what Alertmanager tells."""
OF_GRAFANA = ("monitoring",)
"""CloudWatch, whose metrics it shows."""
OF_TRACING = ("xray",)
"""Where a collector sends traces to."""
OF_MANAGED_PROMETHEUS = ("aps-workspaces",)
"""What Prometheus writes to."""


@dataclass(frozen=True)
class EndpointsArgs:
    """Inputs of `Endpoints`."""

    vpc_id: pulumi.Input[str]
    cidr: str
    """Who may reach them: the VPC itself."""
    subnet_ids: Sequence[pulumi.Input[str]]
    services: Sequence[str] = INTERFACE_ENDPOINTS


def endpoints_of(settings: Settings) -> Sequence[str]:
    """The services that a stack's network has inside."""
    if not settings.interface_endpoints:
        return ()
    return (
        *INTERFACE_ENDPOINTS,
        *(OF_MONITORING if settings.monitoring else ()),
        *(OF_MANAGED_PROMETHEUS if settings.managed_prometheus else ()),
        *(OF_GRAFANA if settings.grafana else ()),
        *(OF_TRACING if settings.tracing else ()),
    )


class Endpoints(pulumi.ComponentResource):
    """Interface endpoints in each zone, with a security group that lets the VPC in over HTTPS.

    Costs 0.01 USD an hour for each endpoint and zone: 73 USD a month for five in two zones, where a NAT gateway is 33.
    """

    def __init__(self, name: str, args: EndpointsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:network:Endpoints", name, None, opts)
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
