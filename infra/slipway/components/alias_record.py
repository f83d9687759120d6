"""The DNS record of a domain."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.cdn import DistributionOutputs
from slipway.components.outputs import LoadBalancerOutputs


@dataclass(frozen=True)
class AliasRecordArgs:
    """Inputs of `AliasRecord`."""

    domain: str
    hosted_zone_id: str
    target: LoadBalancerOutputs | DistributionOutputs


class AliasRecord(pulumi.ComponentResource):
    """Creates an alias record in a Route53 zone: to the load balancer or a distribution. Alias look-ups are free."""

    fqdn: pulumi.Output[str]
    record: aws.route53.Record

    def __init__(self, name: str, args: AliasRecordArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:route53:AliasRecord", name, None, opts)
        self.record = aws.route53.Record(
            f"{name}-domain",
            zone_id=args.hosted_zone_id,
            name=args.domain,
            type="A",
            aliases=[
                {
                    "name": args.target.dns_name,
                    "zone_id": args.target.zone_id,
                    # Route 53 does not check the health of a distribution.
                    "evaluate_target_health": isinstance(args.target, LoadBalancerOutputs),
                }
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.fqdn = self.record.fqdn
        self.register_outputs({"fqdn": self.fqdn})
