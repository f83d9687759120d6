"""Decides by security groups as a VPC does: the source's egress and the target's ingress rules both have to allow.

A connection is between two ends; an end is a load balancer, a task or a data store. Addresses in a VPC are not this
machine's, so a rule about a range of addresses allows an end whose subnets lie in that range.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from ministack.services import ec2

Rule = dict[str, Any]
EVERYWHERE = IPv4Network("0.0.0.0/0")
ALL_PORTS = (0, 65535)


@dataclass(frozen=True)
class ConnectionEnd:
    """One end of a connection."""

    account: str
    region: str
    groups: tuple[str, ...]
    """Ids of its security groups. Without any that exists nothing is decided: on AWS it had the default group."""
    subnets: tuple[str, ...] = ()


def is_connection_allowed(source: ConnectionEnd, target: ConnectionEnd, port: int) -> bool:
    """Returns whether `source` may open a TCP connection to a port of `target`."""
    return any(first <= port <= last for first, last in list_allowed_ports(source, target))


def has_groups(end: ConnectionEnd) -> bool:
    """Returns whether anything is decided about an end: it has a security group that exists."""
    return any(_existing_groups(end))


def list_allowed_ports(source: ConnectionEnd, target: ConnectionEnd) -> list[tuple[int, int]]:
    """Returns the ranges of TCP ports, first and last, that `source` may connect to of `target`."""
    outgoing = _allowed_ranges(source, target, "IpPermissionsEgress")
    incoming = _allowed_ranges(target, source, "IpPermissions")
    common = {
        (max(first, other_first), min(last, other_last))
        for first, last in outgoing
        for other_first, other_last in incoming
    }
    return sorted((first, last) for first, last in common if first <= last)


def _allowed_ranges(end: ConnectionEnd, peer: ConnectionEnd, direction: str) -> list[tuple[int, int]]:
    groups = list(_existing_groups(end))
    if not groups:
        return [ALL_PORTS]
    rules = (rule for group in groups for rule in list(group[direction]))
    return [_port_range(rule) for rule in rules if _is_tcp(rule) and _covers_peer(rule, peer)]


def _existing_groups(end: ConnectionEnd) -> Iterator[dict[str, Any]]:
    for group_id in end.groups:
        group = ec2._security_groups.get_scoped(end.account, end.region, group_id)
        if group:
            yield group


def _is_tcp(rule: Rule) -> bool:
    return str(rule.get("IpProtocol", "-1")) in ("tcp", "6", "-1")


def _port_range(rule: Rule) -> tuple[int, int]:
    first = int(rule.get("FromPort", -1))
    last = int(rule.get("ToPort", -1))
    return ALL_PORTS if str(rule.get("IpProtocol", "-1")) == "-1" or first == -1 else (first, last)


def _covers_peer(rule: Rule, peer: ConnectionEnd) -> bool:
    if any(pair.get("GroupId") in peer.groups for pair in rule.get("UserIdGroupPairs", [])):
        return True
    ranges = [IPv4Network(entry["CidrIp"], strict=False) for entry in rule.get("IpRanges", [])]
    if EVERYWHERE in ranges:
        return True
    networks = list(_subnet_networks(peer))
    return bool(networks) and all(any(network.subnet_of(r) for r in ranges) for network in networks)


def _subnet_networks(end: ConnectionEnd) -> Iterable[IPv4Network]:
    for subnet_id in end.subnets:
        subnet = ec2._subnets.get_scoped(end.account, end.region, subnet_id)
        if subnet:
            yield IPv4Network(subnet["CidrBlock"])


def load_balancer_end(balancer: dict[str, Any]) -> ConnectionEnd:
    """Returns a load balancer as the end of a connection."""
    account, region = account_and_region(balancer["LoadBalancerArn"])
    groups = tuple(balancer.get("SecurityGroups") or ())
    return ConnectionEnd(account, region, groups, tuple(balancer.get("Subnets") or ()))


def task_end(task: dict[str, Any]) -> ConnectionEnd:
    """Returns a task as the end of a connection: with the network of its own revision."""
    account, region = account_and_region(task["taskArn"])
    network = task.get("_network") or {}
    return ConnectionEnd(
        account, region, tuple(network.get("securityGroups") or ()), tuple(network.get("subnets") or ())
    )


def account_and_region(arn: str) -> tuple[str, str]:
    """Returns the account and the region that an ARN names."""
    parts = arn.split(":")
    return parts[4], parts[3]
