"""A VPC over two or three availability zones, with three tiers of subnets."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from slipway.components.flow_logs import FlowLogs, FlowLogsArgs
from slipway.components.outputs import NetworkOutputs
from slipway.components.vpc_endpoints import VpcEndpoints, VpcEndpointsArgs

NatGatewayMode = Literal["none", "one", "per-zone"]


@dataclass(frozen=True)
class VpcNetworkArgs:
    """Inputs of `VpcNetwork`."""

    cidr: str
    """IPv4 CIDR block of the VPC, a /16 to /20: a plain string, for subnet blocks are computed from it."""
    zones: int = 2
    """Number of availability zones."""
    nat: NatGatewayMode = "one"
    """NAT gateways of the private subnets: `one` saves money, `per-zone` survives the loss of a zone."""
    public_tasks: bool = False
    """Whether tasks run in the public subnets, with an address each: then there is no NAT gateway."""
    interface_endpoints: Sequence[str] = ()
    """AWS services with an interface endpoint: tasks need them without a NAT gateway."""
    flow_logs: bool = False
    """Whether rejected connections are logged; needs `key_arn`."""
    key_arn: pulumi.Input[str] = ""
    """Key that encrypts the flow logs."""
    log_retention_days: int = 30
    elastic_ip_hooks: pulumi.ResourceHookBinding | None = None
    """Hooks that run before an Elastic IP is created."""
    vpc_hooks: pulumi.ResourceHookBinding | None = None
    """Hooks that run before the VPC is created or changed."""


class VpcNetwork(pulumi.ComponentResource):
    """Creates a VPC with public subnets (load balancer), private ones (tasks) and isolated ones (data).

    Provisions: VPC, the default security group emptied (EC2.2), an internet gateway, a subnet of each tier and its
    route table in each zone, NAT gateways, an S3 gateway endpoint (free; image layers come through it), interface
    endpoints and flow logs. Costs: NAT gateways about 33 USD a month each and 0.045 USD a GB, and what `VpcEndpoints`
    and `FlowLogs` cost.
    """

    outputs: NetworkOutputs

    def __init__(self, name: str, args: VpcNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:ec2:VpcNetwork", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=args.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags={"Name": name},
            opts=pulumi.ResourceOptions(parent=self, hooks=args.vpc_hooks),
        )
        aws.ec2.DefaultSecurityGroup(f"{name}-default", vpc_id=vpc.id, ingress=[], egress=[], opts=child)
        gateway = aws.ec2.InternetGateway(f"{name}-internet", vpc_id=vpc.id, tags={"Name": name}, opts=child)

        zone_names = aws.get_availability_zones_output(
            state="available",
            # Local zones need an opt-in, sort first, and lack half of the services.
            filters=[{"name": "opt-in-status", "values": ["opt-in-not-required"]}],
            opts=pulumi.InvokeOutputOptions(parent=self),
        ).names
        blocks = subnet_cidrs(args.cidr, args.zones)
        subnets: dict[str, list[aws.ec2.Subnet]] = {
            tier: [
                aws.ec2.Subnet(
                    f"{name}-{tier}-{zone + 1}",
                    vpc_id=vpc.id,
                    cidr_block=block,
                    availability_zone=zone_names[zone],
                    # EC2.15: an instance gets no public address from its subnet.
                    map_public_ip_on_launch=False,
                    tags={"Name": f"{name}-{tier}-{zone + 1}"},
                    # A zone outage shifts the list, which must not replace subnets.
                    opts=pulumi.ResourceOptions(parent=self, ignore_changes=["availabilityZone"]),
                )
                for zone, block in enumerate(tier_blocks)
            ]
            for tier, tier_blocks in blocks.items()
        }
        nat_gateways = self._create_nat_gateways(name, args, subnets["public"], gateway)

        tables: list[aws.ec2.RouteTable] = []
        routes_out: list[pulumi.Resource] = []
        for tier, tier_subnets in subnets.items():
            for zone, subnet in enumerate(tier_subnets):
                label = f"{name}-{tier}-{zone + 1}"
                table = aws.ec2.RouteTable(label, vpc_id=vpc.id, tags={"Name": label}, opts=child)
                aws.ec2.RouteTableAssociation(label, route_table_id=table.id, subnet_id=subnet.id, opts=child)
                is_public = tier == "public"
                has_nat = tier == "private" and bool(nat_gateways)
                if is_public or has_nat:
                    route = aws.ec2.Route(
                        label,
                        route_table_id=table.id,
                        destination_cidr_block="0.0.0.0/0",
                        gateway_id=gateway.id if is_public else None,
                        nat_gateway_id=nat_gateways[zone % len(nat_gateways)].id if has_nat else None,
                        opts=child,
                    )
                    routes_out.append(route)
                tables.append(table)

        region = aws.get_region_output(opts=pulumi.InvokeOutputOptions(parent=self)).region
        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=vpc.id,
            service_name=pulumi.Output.format("com.amazonaws.{0}.s3", region),
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in tables],
            tags={"Name": f"{name}-s3"},
            opts=child,
        )
        ids = {tier: [subnet.id for subnet in tier_subnets] for tier, tier_subnets in subnets.items()}
        if args.interface_endpoints:
            endpoints = VpcEndpoints(
                name, VpcEndpointsArgs(vpc.id, args.cidr, ids["private"], args.interface_endpoints), opts=child
            )
            routes_out.append(endpoints)
        if args.flow_logs:
            FlowLogs(name, FlowLogsArgs(vpc.id, args.key_arn, args.log_retention_days), opts=child)
        self.outputs = NetworkOutputs(
            vpc_id=vpc.id,
            public_subnet_ids=ids["public"],
            private_subnet_ids=ids["private"],
            isolated_subnet_ids=ids["isolated"],
            public_cidrs=blocks["public"],
            ready=routes_out,
            has_public_tasks=args.public_tasks,
        )
        self.register_outputs({"vpcId": vpc.id})

    def _create_nat_gateways(
        self, name: str, args: VpcNetworkArgs, public: list[aws.ec2.Subnet], gateway: aws.ec2.InternetGateway
    ) -> list[aws.ec2.NatGateway]:
        count = {"none": 0, "one": 1, "per-zone": args.zones}[args.nat]
        gateways = []
        for zone in range(count):
            label = f"{name}-nat-{zone + 1}"
            address = aws.ec2.Eip(
                label,
                domain="vpc",
                tags={"Name": label},
                opts=pulumi.ResourceOptions(parent=self, hooks=args.elastic_ip_hooks),
            )
            gateways.append(
                aws.ec2.NatGateway(
                    label,
                    allocation_id=address.id,
                    subnet_id=public[zone].id,
                    tags={"Name": label},
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[gateway]),
                )
            )
        return gateways


def subnet_cidrs(cidr: str, zones: int) -> dict[str, list[str]]:
    """Returns tier -> CIDR blocks, one for each zone: the VPC's block cut in 16, four for a tier.

    The fourth block of each tier and the whole fourth quarter stay free, so that a zone or a tier can be added without
    moving a subnet.
    """
    blocks = [str(block) for block in ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=4)]
    return {tier: blocks[start : start + zones] for tier, start in (("public", 0), ("private", 4), ("isolated", 8))}
