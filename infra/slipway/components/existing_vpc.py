"""Looks up a VPC that exists already; the stack then creates none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.outputs import NetworkOutputs

MIN_ZONES = 2
"""Availability zones that a load balancer, a database subnet group and a service need."""


@dataclass(frozen=True)
class ExistingVpcArgs:
    """Inputs of `look_up_existing_vpc`."""

    vpc_id: str
    public_subnet_ids: Sequence[str]
    """For the load balancer."""
    private_subnet_ids: Sequence[str]
    """For tasks, with a way to AWS's services."""
    isolated_subnet_ids: Sequence[str]
    """For data stores."""


def look_up_existing_vpc(args: ExistingVpcArgs) -> NetworkOutputs:
    """Reads the subnets and checks them. Creates and changes nothing.

    Raises:
        pulumi.RunError: A subnet belongs to another VPC, or a tier lies in one zone. The error names the setting.
    """
    subnet_ids = {
        "publicSubnets": args.public_subnet_ids,
        "privateSubnets": args.private_subnet_ids,
        "isolatedSubnets": args.isolated_subnet_ids,
    }
    tiers = {key: [aws.ec2.get_subnet(id=subnet_id) for subnet_id in ids] for key, ids in subnet_ids.items()}
    for key, subnets in tiers.items():
        foreign = [subnet.id for subnet in subnets if subnet.vpc_id != args.vpc_id]
        if foreign:
            raise pulumi.RunError(f"existingVpc.{key}: {', '.join(foreign)} is not a subnet of {args.vpc_id}")
        zones = {subnet.availability_zone for subnet in subnets}
        if len(zones) < MIN_ZONES:
            raise pulumi.RunError(
                f"existingVpc.{key}: all of them lie in {', '.join(zones)}; a load balancer, a database and a service "
                f"need subnets in {MIN_ZONES} zones"
            )
    return NetworkOutputs(
        vpc_id=args.vpc_id,
        public_subnet_ids=args.public_subnet_ids,
        private_subnet_ids=args.private_subnet_ids,
        isolated_subnet_ids=args.isolated_subnet_ids,
        public_cidrs=[subnet.cidr_block for subnet in tiers["publicSubnets"]],
    )
