"""A name inside the network for a service whose tasks, and so whose addresses, change."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

TTL_SECONDS = 10
"""How long who asked may keep an address: a new task is found that soon."""


@dataclass(frozen=True)
class DiscoveryArgs:
    """Inputs of `Discovery`."""

    vpc_id: pulumi.Input[str]
    """With DNS support, which resolves the name."""
    domain: str
    """Of the network's own: no other stack in it has this one."""
    service: str
    """What is found, below `domain`."""


class Discovery(pulumi.ComponentResource):
    """A private DNS namespace of Cloud Map and one service in it, which ECS registers its tasks with.

    Costs 0.50 USD a month for the zone, and 0.40 a million queries.
    """

    registry_arn: pulumi.Output[str]
    """What an ECS service registers with."""
    host: str
    """Where its tasks answer."""

    def __init__(self, name: str, args: DiscoveryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:network:Discovery", name, None, opts)
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
            force_destroy=True,  # with what a task that was killed left registered
            opts=child,
        )
        self.registry_arn = service.arn
        self.host = f"{args.service}.{args.domain}"
        self.register_outputs({"registryArn": self.registry_arn})
