"""The network: a VPC over two or three zones, with three rings of subnets."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from infra.components.endpoints import Endpoints, EndpointsArgs, endpoints_of
from infra.components.flow_logs import FlowLogs, FlowLogsArgs
from infra.foundation import NetworkFacts
from infra.settings import Settings

Nat = Literal["none", "one", "per-zone"]


@dataclass(frozen=True)
class NetworkArgs:
    """Inputs of `Network`."""

    cidr: str
    """The VPC's IPv4 range, a /16 to /20: known before the deployment, for subnets are cut from it."""
    zones: int = 2
    """How many availability zones to spread over."""
    nat: Nat = "one"
    """NAT gateways for the private ring: `one` saves money, `per-zone` survives the loss of a zone."""
    interface_endpoints: Sequence[str] = ()
    """AWS's services inside the network: what tasks need where there is no NAT gateway."""
    flow_logs: bool = False
    """A log of rejected connections; needs `key_arn`."""
    key_arn: pulumi.Input[str] = ""
    """What the flow logs are encrypted with."""
    log_retention_days: int = 30
    address_hooks: pulumi.ResourceHookBinding | None = None
    """What has to hold before an Elastic IP is made ..."""
    vpc_hooks: pulumi.ResourceHookBinding | None = None
    """... and before the VPC is."""

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        key_arn: pulumi.Input[str],
        address_hooks: pulumi.ResourceHookBinding | None = None,
        vpc_hooks: pulumi.ResourceHookBinding | None = None,
    ) -> NetworkArgs:
        """As a stack's settings have it."""
        return cls(
            cidr=settings.vpc_cidr,
            zones=settings.zones,
            nat=settings.nat_gateways,
            interface_endpoints=endpoints_of(settings),
            flow_logs=settings.flow_logs,
            key_arn=key_arn,
            log_retention_days=settings.log_retention_days,
            address_hooks=address_hooks,
            vpc_hooks=vpc_hooks,
        )


class Network(pulumi.ComponentResource):
    """A VPC with public subnets (load balancer), private ones (tasks) and isolated ones (data).

    Provisions: VPC, the default security group emptied (EC2.2), an internet gateway, a subnet of each ring
    and a route table for it in each zone, NAT gateways as asked, an S3 gateway endpoint (free; image layers
    come through it), interface endpoints and flow logs as asked. Costs: nothing but the NAT gateways, about
    33 USD a month each and 0.045 USD a GB, and what `Endpoints` and `FlowLogs` cost.
    """

    facts: NetworkFacts

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:network:Network", name, None, opts)
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
            # Local zones and the like have to be opted in to, sort first, and lack half of what runs here.
            filters=[{"name": "opt-in-status", "values": ["opt-in-not-required"]}],
            opts=pulumi.InvokeOutputOptions(parent=self),
        ).names
        blocks = subnet_cidrs(args.cidr, args.zones)
        subnets: dict[str, list[aws.ec2.Subnet]] = {
            ring: [
                aws.ec2.Subnet(
                    f"{name}-{ring}-{zone + 1}",
                    vpc_id=vpc.id,
                    cidr_block=block,
                    availability_zone=zone_names[zone],
                    # EC2.15: nothing here gets a public address for being started in a subnet.
                    map_public_ip_on_launch=False,
                    tags={"Name": f"{name}-{ring}-{zone + 1}"},
                    # A zone that is down for an hour shifts the list: no reason to build the network again.
                    opts=pulumi.ResourceOptions(parent=self, ignore_changes=["availabilityZone"]),
                )
                for zone, block in enumerate(ring_blocks)
            ]
            for ring, ring_blocks in blocks.items()
        }
        nats = self._nat_gateways(name, args, subnets["public"], gateway)

        tables: list[aws.ec2.RouteTable] = []
        ways_out: list[pulumi.Resource] = []
        for ring, ring_subnets in subnets.items():
            for zone, subnet in enumerate(ring_subnets):
                label = f"{name}-{ring}-{zone + 1}"
                table = aws.ec2.RouteTable(label, vpc_id=vpc.id, tags={"Name": label}, opts=child)
                aws.ec2.RouteTableAssociation(label, route_table_id=table.id, subnet_id=subnet.id, opts=child)
                public, private = ring == "public", ring == "private" and bool(nats)
                if public or private:
                    route = aws.ec2.Route(
                        label,
                        route_table_id=table.id,
                        destination_cidr_block="0.0.0.0/0",
                        gateway_id=gateway.id if public else None,
                        nat_gateway_id=nats[zone % len(nats)].id if private else None,
                        opts=child,
                    )
                    ways_out.append(route)
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
        ids = {ring: [subnet.id for subnet in ring_subnets] for ring, ring_subnets in subnets.items()}
        if args.interface_endpoints:
            endpoints = Endpoints(
                name, EndpointsArgs(vpc.id, args.cidr, ids["private"], args.interface_endpoints), opts=child
            )
            ways_out.append(endpoints)
        if args.flow_logs:
            FlowLogs(name, FlowLogsArgs(vpc.id, args.key_arn, args.log_retention_days), opts=child)
        self.facts = NetworkFacts(
            vpc_id=vpc.id,
            public_subnet_ids=ids["public"],
            private_subnet_ids=ids["private"],
            isolated_subnet_ids=ids["isolated"],
            public_cidrs=blocks["public"],
            ready=ways_out,
        )
        self.register_outputs({"vpcId": vpc.id})

    def _nat_gateways(
        self, name: str, args: NetworkArgs, public: list[aws.ec2.Subnet], gateway: aws.ec2.InternetGateway
    ) -> list[aws.ec2.NatGateway]:
        count = {"none": 0, "one": 1, "per-zone": args.zones}[args.nat]
        gateways = []
        for zone in range(count):
            label = f"{name}-nat-{zone + 1}"
            hooked = pulumi.ResourceOptions(parent=self, hooks=args.address_hooks)
            address = aws.ec2.Eip(label, domain="vpc", tags={"Name": label}, opts=hooked)
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
    """Cut the VPC's range in 16: four blocks a ring, of which the first `zones` are used.

    The fourth block of each ring and the whole fourth quarter stay free, so that a zone or a ring can be
    added without moving what is there.
    """
    blocks = [str(block) for block in ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=4)]
    return {ring: blocks[start : start + zones] for ring, start in (("public", 0), ("private", 4), ("isolated", 8))}
