"""Security groups, and pairs of rules that let one reach another."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from slipway.components.outputs import DataStoreOutputs

MAX_PORT = 65535


def allow_connections(
    name: str,
    *,
    source: pulumi.Input[str],
    target: pulumi.Input[str],
    port: int,
    description: str,
    parent: pulumi.Resource,
) -> list[pulumi.Resource]:
    """Creates the rules that let the group `source` connect to the group `target` on one TCP port: one in each.

    Their names have the port, so that another port is another pair of rules: the engine creates it before the rollout,
    and deletes the former pair when everything else has succeeded. Tasks of the former revision stay reachable.
    """
    return _rule_pair(f"{name}-{port}", source, target, port, port, description, parent)


def allow_connections_on_any_port(
    name: str, *, source: pulumi.Input[str], target: pulumi.Input[str], description: str, parent: pulumi.Resource
) -> list[pulumi.Resource]:
    """The same on every TCP port: for tasks whose ports differ, and may change one by one."""
    return _rule_pair(name, source, target, 1, MAX_PORT, description, parent)


def _rule_pair(
    name: str,
    source: pulumi.Input[str],
    target: pulumi.Input[str],
    first_port: int,
    last_port: int,
    description: str,
    parent: pulumi.Resource,
) -> list[pulumi.Resource]:
    """Rules are resources of their own: groups that refer to each other could not be deleted otherwise."""
    child = pulumi.ResourceOptions(parent=parent)
    return [
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-in",
            security_group_id=target,
            referenced_security_group_id=source,
            description=description,
            ip_protocol="tcp",
            from_port=first_port,
            to_port=last_port,
            opts=child,
        ),
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-out",
            security_group_id=source,
            referenced_security_group_id=target,
            description=description,
            ip_protocol="tcp",
            from_port=first_port,
            to_port=last_port,
            opts=child,
        ),
    ]


def allow_https_egress(name: str, *, source: pulumi.Input[str], parent: pulumi.Resource) -> pulumi.Resource:
    """Creates the rule that lets a group reach HTTPS anywhere: the registry, AWS endpoints, Sentry."""
    return aws.vpc.SecurityGroupEgressRule(
        f"{name}-https",
        security_group_id=source,
        description="HTTPS: the registry, AWS endpoints, Sentry",
        cidr_ipv4="0.0.0.0/0",
        ip_protocol="tcp",
        from_port=443,
        to_port=443,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def allow_store_access(
    name: str, who: str, *, source: pulumi.Input[str], stores: Sequence[DataStoreOutputs], parent: pulumi.Resource
) -> list[pulumi.Resource]:
    """Creates the rules that let tasks connect to `stores`; `who` begins the rules' descriptions."""
    rules: list[pulumi.Resource] = []
    for store in stores:
        rules += allow_connections(
            f"{name}-to-{store.label}",
            source=source,
            target=store.security_group_id,
            port=store.port,
            description=f"{who} use the {store.label}",
            parent=parent,
        )
    return rules


def create_egress_security_group(
    name: str, who: str, *, vpc_id: pulumi.Input[str], stores: Sequence[DataStoreOutputs], parent: pulumi.Resource
) -> tuple[aws.ec2.SecurityGroup, list[pulumi.Resource]]:
    """Creates a group without ingress, with egress to HTTPS and `stores`. Returns the group and its rules."""
    group = aws.ec2.SecurityGroup(
        name,
        description=f"{who}: no ingress, egress to AWS over HTTPS",
        vpc_id=vpc_id,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    rules = [allow_https_egress(name, source=group.id, parent=parent)]
    return group, rules + allow_store_access(name, who, source=group.id, stores=stores, parent=parent)
