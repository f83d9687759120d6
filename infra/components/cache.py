"""The cache: Redis on ElastiCache."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.components.network import Network


@dataclass(frozen=True)
class CacheArgs:
    """Inputs of `Cache`."""

    network: Network
    auth_token: pulumi.Input[str]
    node_type: str = "cache.t4g.micro"
    version: str = "7.1"
    nodes: int = 1
    """With two or more it fails over by itself, across zones."""
    snapshot_days: int = 1


class Cache(pulumi.ComponentResource):
    """A Redis replication group in the isolated subnets: TLS, AUTH, encrypted at rest.

    Costs for each cache.t4g.micro (us-east-1): 12 USD a month.
    """

    label = "cache"
    port = contract.CACHE_PORT
    """What security groups allow."""
    address: pulumi.Output[str]
    endpoint_port: pulumi.Output[int]
    """Where it really answers; the local AWS has a port of its own."""
    security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: CacheArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:cache:Cache", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            f"{name}-cache",
            description="The cache: reached by web and worker tasks, reaches nothing",
            vpc_id=args.network.vpc_id,
            opts=child,
        )
        subnets = aws.elasticache.SubnetGroup(f"{name}-cache", subnet_ids=args.network.isolated_subnet_ids, opts=child)
        several = args.nodes > 1
        redis = aws.elasticache.ReplicationGroup(
            f"{name}-cache",
            description=f"{name}: answers and rate limits",
            engine="redis",
            engine_version=args.version,
            node_type=args.node_type,
            num_cache_clusters=args.nodes,
            automatic_failover_enabled=several,
            multi_az_enabled=several,
            port=contract.CACHE_PORT,
            subnet_group_name=subnets.name,
            security_group_ids=[group.id],
            transit_encryption_enabled=True,
            at_rest_encryption_enabled=True,
            auth_token=args.auth_token,
            auto_minor_version_upgrade=True,
            snapshot_retention_limit=args.snapshot_days,
            opts=child,
        )
        self.address = redis.primary_endpoint_address
        self.endpoint_port = redis.port.apply(lambda port: port or contract.CACHE_PORT)
        self.security_group_id = group.id
        self.register_outputs({"address": self.address})
