"""The network: addresses, ways out, and what is closed."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from slipway.components.vpc import NatGatewayMode, VpcNetwork, VpcNetworkArgs, subnet_cidrs
from slipway.components.vpc_endpoints import TASK_ENDPOINTS
from tests.infra.recorder import Registered, of, record


def network(nat: NatGatewayMode = "one", zones: int = 2, **more: Any) -> list[Registered]:
    return record(lambda: VpcNetwork("n", VpcNetworkArgs(cidr="10.20.0.0/16", zones=zones, nat=nat, **more)))


@pytest.mark.parametrize("zones", [2, 3])
def test_subnets_do_not_overlap_and_lie_in_the_vpc(zones: int) -> None:
    blocks = [ipaddress.ip_network(b) for ring in subnet_cidrs("10.20.0.0/16", zones).values() for b in ring]
    assert len(blocks) == 3 * zones
    assert all(block.subnet_of(ipaddress.ip_network("10.20.0.0/16")) for block in blocks)  # type: ignore[arg-type]
    assert not any(a.overlaps(b) for i, a in enumerate(blocks) for b in blocks[i + 1 :])


def test_a_third_zone_moves_no_subnet_of_the_first_two() -> None:
    two, three = subnet_cidrs("10.20.0.0/16", 2), subnet_cidrs("10.20.0.0/16", 3)
    assert all(three[ring][:2] == blocks for ring, blocks in two.items())


@pytest.mark.parametrize(("nat", "gateways"), [("none", 0), ("one", 1), ("per-zone", 2)])
def test_nat_gateways_as_asked(nat: NatGatewayMode, gateways: int) -> None:
    found = network(nat)
    assert len(of(found, "aws:ec2/natGateway:NatGateway")) == gateways
    routes = [r for r in of(found, "aws:ec2/route:Route") if "natGatewayId" in r.inputs]
    assert len(routes) == (2 if gateways else 0)


def test_the_isolated_ring_has_no_way_out() -> None:
    routes = of(network(), "aws:ec2/route:Route")
    assert not [route for route in routes if "isolated" in route.name]


def test_the_default_security_group_is_empty() -> None:
    (group,) = of(network(), "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
    assert group.inputs["ingress"] == []
    assert group.inputs["egress"] == []


def test_no_subnet_gives_public_addresses() -> None:
    subnets = of(network(), "aws:ec2/subnet:Subnet")
    assert len(subnets) == 6
    assert not any(subnet.inputs["mapPublicIpOnLaunch"] for subnet in subnets)


ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"


def test_interface_endpoints_stand_in_every_private_subnet_and_let_the_network_in_alone() -> None:
    found = network(nat="none", interface_endpoints=TASK_ENDPOINTS)
    endpoints = [r.inputs for r in of(found, ENDPOINT) if r.inputs["vpcEndpointType"] == "Interface"]
    services = {given["serviceName"].removeprefix("com.amazonaws.eu-central-1.") for given in endpoints}
    assert services == {"ecr.api", "ecr.dkr", "logs", "secretsmanager", "sqs"}
    assert all(given["subnetIds"] == ["n-private-1-id", "n-private-2-id"] for given in endpoints)
    assert all(given["privateDnsEnabled"] for given in endpoints)
    (rule,) = of(found, "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert (rule.inputs["cidrIpv4"], rule.inputs["fromPort"], rule.inputs["toPort"]) == ("10.20.0.0/16", 443, 443)
    assert [r.inputs["vpcEndpointType"] for r in of(network(), ENDPOINT)] == ["Gateway"]


def test_flow_logs_keep_what_was_rejected() -> None:  # EC2.6
    (log,) = of(network(flow_logs=True, key_arn="arn:key"), "aws:ec2/flowLog:FlowLog")
    assert (log.inputs["vpcId"], log.inputs["trafficType"]) == ("n-vpc-id", "REJECT")
    assert log.inputs["iamRoleArn"] == "arn:aws:mock:::n-flow-logs"
    assert of(network(), "aws:ec2/flowLog:FlowLog") == []


def test_every_child_has_the_component_as_its_parent() -> None:
    found = network()
    assert {r.parent for r in found if r.type != "slipway:ec2:VpcNetwork" and r.type.startswith("aws:")} == {"n"}


def test_zones_are_the_regions_own_and_a_shifted_list_moves_no_subnet() -> None:
    assert all(subnet.ignore_changes == ("availabilityZone",) for subnet in of(network(), "aws:ec2/subnet:Subnet"))
