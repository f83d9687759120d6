"""A private DNS name for a service, whose tasks and addresses change."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

TTL_SECONDS = 10
"""Seconds that a client may cache an address: a new task is found after as long."""


@dataclass(frozen=True)
class ServiceDiscoveryArgs:
    """Inputs of `ServiceDiscovery`."""

    vpc_id: pulumi.Input[str]
    """VPC with DNS support."""
    domain: str
    """Domain of the namespace; unique in the VPC."""
    service: str
    """Name of the service below `domain`."""


class ServiceDiscovery(pulumi.ComponentResource):
    """Creates a private DNS namespace of Cloud Map and one service in it, which ECS registers tasks with.

    Costs 0.50 USD a month for the zone, and 0.40 a million queries.
    """

    service_registry_arn: pulumi.Output[str]
    """ARN of the Cloud Map service, which an ECS service registers with."""
    host: str
    """Host name of its tasks."""

    def __init__(self, name: str, args: ServiceDiscoveryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:servicediscovery:ServiceDiscovery", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace = aws.servicediscovery.PrivateDnsNamespace(name, name=args.domain, vpc=args.vpc_id, opts=child)
        service = aws.servicediscovery.Service(
            name,
            name=args.service,
            dns_config={
                "namespace_id": namespace.id,
                "dns_records": [{"type": "A", "ttl": TTL_SECONDS}],
                "routing_policy": "MULTIVALUE",
            },
            force_destroy=True,  # also with registrations that a killed task left behind
            opts=child,
        )
        self.service_registry_arn = service.arn
        self.host = f"{args.service}.{args.domain}"
        self.register_outputs({"registryArn": self.service_registry_arn})
