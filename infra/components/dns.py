"""The app's name."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.foundation import LoadBalancerFacts
from infra.settings import Settings


@dataclass(frozen=True)
class DnsArgs:
    """Inputs of `Dns`."""

    domain: str
    hosted_zone_id: str
    load_balancer: LoadBalancerFacts

    @classmethod
    def of(cls, settings: Settings, *, load_balancer: LoadBalancerFacts) -> DnsArgs:
        """As a stack's settings have it."""
        return cls(settings.domain, settings.hosted_zone_id, load_balancer)


class Dns(pulumi.ComponentResource):
    """An alias record in the team's Route53 zone that leads to the load balancer. Alias look-ups are free."""

    fqdn: pulumi.Output[str]

    def __init__(self, name: str, args: DnsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:dns:Dns", name, None, opts)
        record = aws.route53.Record(
            f"{name}-domain",
            zone_id=args.hosted_zone_id,
            name=args.domain,
            type="A",
            aliases=[
                {
                    "name": args.load_balancer.dns_name,
                    "zone_id": args.load_balancer.zone_id,
                    "evaluate_target_health": True,
                }
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.fqdn = record.fqdn
        self.register_outputs({"fqdn": self.fqdn})
