"""The cache: Redis on ElastiCache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.components.alarm import Alarm
from infra.foundation import NetworkFacts, StoreFacts
from infra.settings import Settings

LEAST_FREEABLE_BYTES = 50 * 1024**2
"""A tenth of the smallest node's memory."""
LEAST_CREDITS = 5
"""Minutes of a whole core; the smallest node earns twelve an hour."""


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
    token_strategy: str | None = None
    """How a changed token comes in: ROTATE beside the one before, then SET alone. None at first."""

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
            token_strategy=_strategy(settings),
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
            # The provider asks for it when either of the two has changed; AWS takes SET only after ROTATE.
            auth_token_update_strategy=args.token_strategy,
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
        self.alarms = _alarms(args, redis)
        self.register_outputs({"address": redis.primary_endpoint_address})


def _strategy(settings: Settings) -> str | None:
    if settings.secrets_generation == 1:
        return None
    return "ROTATE" if settings.former_secrets else "SET"


def _family(version: str) -> str:
    """The parameter groups' family: redis7, and redis6.x before it."""
    major = int(version.split(".")[0])
    return f"redis{major}" if major >= 7 else f"redis{major}.x"


def _alarms(args: CacheArgs, redis: aws.elasticache.ReplicationGroup) -> list[Alarm]:
    """For every node: a replica that is short of something is a primary that is, once it fails over."""
    return [alarm for number in range(1, args.nodes + 1) for alarm in _of_a_node(args, redis, number)]


def _of_a_node(args: CacheArgs, redis: aws.elasticache.ReplicationGroup, number: int) -> list[Alarm]:
    node = {"CacheClusterId": pulumi.Output.format("{0}-{1}", redis.replication_group_id, f"{number:03}")}

    def alarm(name: str, why: str, metric: str, **more: Any) -> Alarm:
        text = f"Cache node {number}: {why}"
        return Alarm(f"cache-{number}-{name}", text, "AWS/ElastiCache", metric, node, **more)

    found = [
        alarm("memory", "over 80 % of Redis's memory is in use", "DatabaseMemoryUsagePercentage", over=80),
        alarm(
            "evictions",
            "it throws out what it should keep: take a larger class",
            "Evictions",
            statistic="Sum",
            over=100,
        ),
        # Redis answers on one core: the machine's own CPU would look idle on a node of several.
        alarm("engine-cpu", "Redis's one core is over 80 % busy", "EngineCPUUtilization", over=80, minutes=15),
        alarm("freeable", "the machine itself is short of memory", "FreeableMemory", under=LEAST_FREEABLE_BYTES),
    ]
    if args.node_type.startswith("cache.t"):
        why = "its CPU credits are used up, and it is slow until it has rested: take a class without credits"
        # A new node begins without any, and has more after half an hour.
        found.append(alarm("credits", why, "CPUCreditBalance", under=LEAST_CREDITS, minutes=60))
    return found
