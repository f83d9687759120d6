"""Security groups and the pairs of rules that let one reach another."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra.foundation import StoreFacts


def allow(
    name: str,
    *,
    source: pulumi.Input[str],
    target: pulumi.Input[str],
    port: int,
    why: str,
    parent: pulumi.Resource,
) -> list[pulumi.Resource]:
    """Let the group `source` open connections to the group `target` on one TCP port: a rule at each end.

    Rules are resources of their own: groups that refer to each other could not be destroyed otherwise.
    """
    child = pulumi.ResourceOptions(parent=parent)
    return [
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-in",
            security_group_id=target,
            referenced_security_group_id=source,
            description=why,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            opts=child,
        ),
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-out",
            security_group_id=source,
            referenced_security_group_id=target,
            description=why,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            opts=child,
        ),
    ]


def allow_https_out(name: str, *, source: pulumi.Input[str], parent: pulumi.Resource) -> pulumi.Resource:
    """Let a group reach HTTPS anywhere: the registry, AWS's endpoints, Sentry."""
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


def allow_stores(
    name: str, who: str, *, source: pulumi.Input[str], stores: Sequence[StoreFacts], parent: pulumi.Resource
) -> list[pulumi.Resource]:
    """Let tasks use databases and caches; `who` they are stands in the rules' descriptions."""
    rules: list[pulumi.Resource] = []
    for store in stores:
        rules += allow(
            f"{name}-to-{store.label}",
            source=source,
            target=store.security_group_id,
            port=store.port,
            why=f"{who} use the {store.label}",
            parent=parent,
        )
    return rules


def reaching_group(
    name: str, who: str, *, vpc_id: pulumi.Input[str], stores: Sequence[StoreFacts], parent: pulumi.Resource
) -> tuple[aws.ec2.SecurityGroup, list[pulumi.Resource]]:
    """The group of tasks that nobody reaches: they reach HTTPS and their stores. And its rules."""
    group = aws.ec2.SecurityGroup(
        name,
        description=f"{who}: reached by nobody, reach AWS over HTTPS",
        vpc_id=vpc_id,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    rules = [allow_https_out(name, source=group.id, parent=parent)]
    return group, rules + allow_stores(name, who, source=group.id, stores=stores, parent=parent)
