"""A network that was there before: the facts of a VPC that a stack's settings name."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from infra.foundation import NetworkFacts
from infra.settings import ExistingVpc


def existing_network(given: ExistingVpc) -> NetworkFacts:
    """Look the subnets up, and check that a service can stand on them; nothing is created or changed.

    Raises `pulumi.RunError`, which names the setting, where a subnet is of another VPC, or where the load balancer's or
    the data's subnets lie in one zone alone.
    """
    rings = {
        "publicSubnets": given.public_subnets,
        "privateSubnets": given.private_subnets,
        "isolatedSubnets": given.isolated_subnets,
    }
    found = {key: [aws.ec2.get_subnet(id=id) for id in ids] for key, ids in rings.items()}
    for key, subnets in found.items():
        strangers = [subnet.id for subnet in subnets if subnet.vpc_id != given.id]
        if strangers:
            raise pulumi.RunError(f"existingVpc.{key}: {', '.join(strangers)} is not a subnet of {given.id}")
        zones = {subnet.availability_zone for subnet in subnets}
        if len(zones) < 2:
            raise pulumi.RunError(
                f"existingVpc.{key}: all of them lie in {', '.join(zones)}; a load balancer, a database and a service "
                "that survives the loss of a zone want two"
            )
    return NetworkFacts(
        vpc_id=given.id,
        public_subnet_ids=given.public_subnets,
        private_subnet_ids=given.private_subnets,
        isolated_subnet_ids=given.isolated_subnets,
        public_cidrs=[subnet.cidr_block for subnet in found["publicSubnets"]],
    )
