"""A Redis cache on ElastiCache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from slipway.components.cloudwatch_alarm import Alarm
from slipway.components.outputs import DataStoreOutputs, NetworkOutputs
from slipway.config import constants

AuthTokenUpdateStrategy = Literal["ROTATE", "SET"]
"""ROTATE accepts the new token in addition to the old one; SET then accepts only the new one."""
MIN_FREEABLE_MEMORY_BYTES = 50 * 1024**2
"""A tenth of the smallest node's memory (cache.t4g.micro: 0.5 GiB)."""
MIN_CPU_CREDIT_BALANCE = 5
"""CPU credits, each a minute of a whole core; cache.t4g.micro earns twelve an hour."""


@dataclass(frozen=True)
class RedisCacheArgs:
    """Inputs of `RedisCache`."""

    network: NetworkOutputs
    key_arn: pulumi.Input[str]
    auth_token: pulumi.Input[str]
    node_type: str = "cache.t4g.micro"
    version: str = "7.1"
    nodes: int = 1
    """Number of nodes; two or more fail over automatically, across zones."""
    snapshot_retention_days: int = 1
    auth_token_update_strategy: AuthTokenUpdateStrategy | None = None
    """How a changed token is applied; None until the first rotation."""


class RedisCache(pulumi.ComponentResource):
    """Creates a Redis replication group in the isolated subnets: TLS, AUTH, encrypted at rest.

    Costs for each cache.t4g.micro (us-east-1): 12 USD a month.
    """

    outputs: DataStoreOutputs
    alarms: list[Alarm]

    def __init__(self, name: str, args: RedisCacheArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:elasticache:RedisCache", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            f"{name}-cache",
            description="The cache: reached by web and worker tasks, reaches nothing",
            vpc_id=args.network.vpc_id,
            opts=child,
        )
        subnets = aws.elasticache.SubnetGroup(f"{name}-cache", subnet_ids=args.network.isolated_subnet_ids, opts=child)
        family = _parameter_group_family(args.version)
        parameters = aws.elasticache.ParameterGroup(
            f"{name}-{family.replace('.', '-')}",
            family=family,
            parameters=[
                # Every key has an expiry; when memory is short, keys that expire soonest are evicted first.
                {"name": "maxmemory-policy", "value": "volatile-ttl"},
            ],
            opts=child,
        )
        has_replicas = args.nodes > 1
        redis = aws.elasticache.ReplicationGroup(
            f"{name}-cache",
            description=f"{name}: answers and rate limits",
            engine="redis",
            engine_version=args.version,
            node_type=args.node_type,
            num_cache_clusters=args.nodes,
            automatic_failover_enabled=has_replicas,
            multi_az_enabled=has_replicas,
            port=constants.CACHE_PORT,
            subnet_group_name=subnets.name,
            security_group_ids=[group.id],
            transit_encryption_enabled=True,
            at_rest_encryption_enabled=True,
            kms_key_id=args.key_arn,
            parameter_group_name=parameters.name,
            auth_token=args.auth_token,
            # The provider sends it when the token or the strategy has changed; AWS takes SET only after ROTATE.
            auth_token_update_strategy=args.auth_token_update_strategy,
            auto_minor_version_upgrade=True,
            apply_immediately=True,  # else a change waits for the maintenance window
            snapshot_retention_limit=args.snapshot_retention_days,
            snapshot_window="02:00-03:00",
            maintenance_window="sun:04:30-sun:05:30",
            opts=child,
        )
        self.outputs = DataStoreOutputs(
            "cache",
            group.id,
            constants.CACHE_PORT,
            redis.primary_endpoint_address,
            redis.port.apply(lambda port: port or constants.CACHE_PORT),
        )
        self.alarms = _alarms(args, redis)
        self.register_outputs({"address": redis.primary_endpoint_address})


def _parameter_group_family(version: str) -> str:
    """Returns the parameter group family: redis7, and redis6.x before it."""
    major = int(version.split(".")[0])
    return f"redis{major}" if major >= 7 else f"redis{major}.x"


def _alarms(args: RedisCacheArgs, redis: aws.elasticache.ReplicationGroup) -> list[Alarm]:
    """Returns the alarms of every node: a replica becomes the primary on failover."""
    return [alarm for number in range(1, args.nodes + 1) for alarm in _node_alarms(args, redis, number)]


def _node_alarms(args: RedisCacheArgs, redis: aws.elasticache.ReplicationGroup, number: int) -> list[Alarm]:
    def alarm(
        name: str,
        description: str,
        metric: str,
        *,
        statistic: str = "Average",
        greater_than: float | None = None,
        less_than: float | None = None,
        evaluation_periods: int = 5,
    ) -> Alarm:
        return Alarm(
            name=f"cache-{number}-{name}",
            description=f"Cache node {number}: {description}",
            namespace="AWS/ElastiCache",
            metric=metric,
            dimensions={"CacheClusterId": pulumi.Output.format("{0}-{1}", redis.replication_group_id, f"{number:03}")},
            statistic=statistic,
            greater_than=greater_than,
            less_than=less_than,
            evaluation_periods=evaluation_periods,
        )

    alarms = [
        alarm("memory", "over 80 % of Redis's memory is in use", "DatabaseMemoryUsagePercentage", greater_than=80),
        alarm(
            "evictions",
            "it evicts keys that have not expired: take a larger class",
            "Evictions",
            statistic="Sum",
            greater_than=100,
        ),
        # Redis answers on one core: the machine's own CPU would look idle on a node of several.
        alarm(
            "engine-cpu",
            "Redis's one core is over 80 % busy",
            "EngineCPUUtilization",
            greater_than=80,
            evaluation_periods=15,
        ),
        alarm(
            "freeable", "the machine itself is short of memory", "FreeableMemory", less_than=MIN_FREEABLE_MEMORY_BYTES
        ),
    ]
    if args.node_type.startswith("cache.t"):
        alarms.append(
            alarm(
                "credits",
                "its CPU credits are used up, and it is slow until it has earned more: take a class without credits",
                "CPUCreditBalance",
                less_than=MIN_CPU_CREDIT_BALANCE,
                evaluation_periods=60,  # a new node begins without credits, and has more after half an hour
            )
        )
    return alarms
