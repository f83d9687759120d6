"""The cache: Redis on ElastiCache."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.components.alarm import Alarm
from infra.foundation import NetworkFacts, StoreFacts
from infra.settings import Settings


@dataclass(frozen=True)
class CacheArgs:
    """Inputs of `Cache`."""

    network: NetworkFacts
    key_arn: pulumi.Input[str]
    auth_token: pulumi.Input[str]
    node_type: str = "cache.t4g.micro"
    version: str = "7.1"
    nodes: int = 1
    """With two or more it fails over by itself, across zones."""
    snapshot_days: int = 1

    @classmethod
    def of(
        cls, settings: Settings, *, network: NetworkFacts, key_arn: pulumi.Input[str], auth_token: pulumi.Input[str]
    ) -> CacheArgs:
        """As a stack's settings have it."""
        return cls(
            network=network,
            key_arn=key_arn,
            auth_token=auth_token,
            node_type=settings.cache_class,
            version=settings.cache_version,
            nodes=settings.cache_nodes,
        )


class Cache(pulumi.ComponentResource):
    """A Redis replication group in the isolated subnets: TLS, AUTH, encrypted at rest.

    Costs for each cache.t4g.micro (us-east-1): 12 USD a month.
    """

    facts: StoreFacts
    alarms: list[Alarm]

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
        family = _family(args.version)
        parameters = aws.elasticache.ParameterGroup(
            f"{name}-{family.replace('.', '-')}",
            family=family,
            parameters=[
                # Answers and counters all expire; when memory is short, what expires soonest goes first.
                {"name": "maxmemory-policy", "value": "volatile-ttl"},
            ],
            opts=child,
        )
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
            kms_key_id=args.key_arn,
            parameter_group_name=parameters.name,
            auth_token=args.auth_token,
            auto_minor_version_upgrade=True,
            apply_immediately=True,  # as the database
            snapshot_retention_limit=args.snapshot_days,
            snapshot_window="02:00-03:00",
            maintenance_window="sun:04:30-sun:05:30",
            opts=child,
        )
        self.facts = StoreFacts(
            "cache",
            group.id,
            contract.CACHE_PORT,
            redis.primary_endpoint_address,
            redis.port.apply(lambda port: port or contract.CACHE_PORT),
        )
        self.alarms = _alarms(redis)
        self.register_outputs({"address": redis.primary_endpoint_address})


def _family(version: str) -> str:
    """The parameter groups' family: redis7, and redis6.x before it."""
    major = int(version.split(".")[0])
    return f"redis{major}" if major >= 7 else f"redis{major}.x"


def _alarms(redis: aws.elasticache.ReplicationGroup) -> list[Alarm]:
    # By the group, AWS gives the metrics of the first node; the others follow it.
    dimensions = {"CacheClusterId": pulumi.Output.format("{0}-001", redis.replication_group_id)}
    return [
        Alarm(
            "cache-memory",
            "The cache is full: over 80 % of its memory is in use",
            "AWS/ElastiCache",
            "DatabaseMemoryUsagePercentage",
            dimensions,
            over=80,
        ),
        Alarm(
            "cache-evictions",
            "The cache throws out what it should keep: take a larger class",
            "AWS/ElastiCache",
            "Evictions",
            dimensions,
            statistic="Sum",
            over=100,
        ),
    ]
