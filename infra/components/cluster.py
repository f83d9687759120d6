"""The ECS cluster that an environment's services run in."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import naming
from infra.foundation import ClusterFacts
from infra.settings import Settings


@dataclass(frozen=True)
class ClusterArgs:
    """Inputs of `Cluster`."""

    key_arn: pulumi.Input[str]
    container_insights: bool = True
    """ECS.12; metrics of services and tasks, about 3 USD a month for the cluster and 6 for each service."""
    retention_days: int = 30
    """Of what Container Insights writes."""

    @classmethod
    def of(cls, settings: Settings, *, key_arn: pulumi.Input[str]) -> ClusterArgs:
        """As a stack's settings have it."""
        return cls(key_arn, settings.container_insights, settings.log_retention_days)


class Cluster(pulumi.ComponentResource):
    """An ECS cluster with the Fargate and Fargate Spot capacity providers, and the log group of Container Insights.

    Free by itself. Container Insights makes its group itself, without an end or a key, unless it is there before; so
    the cluster's name is known before: by the stack's key, which is another in each life of the environment.
    """

    facts: ClusterFacts

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:cluster:Cluster", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        cluster_name = pulumi.Output.from_input(args.key_arn).apply(lambda arn: f"{name}-cluster-{naming.mark(arn)}")
        before = []
        if args.container_insights:
            group = aws.cloudwatch.LogGroup(
                f"{name}-insights",
                name=pulumi.Output.format("/aws/ecs/containerinsights/{0}/performance", cluster_name),
                retention_in_days=args.retention_days,
                kms_key_id=args.key_arn,
                opts=child,
            )
            before = [group]
        cluster = aws.ecs.Cluster(
            f"{name}-cluster",
            name=cluster_name,
            settings=[{"name": "containerInsights", "value": "enabled" if args.container_insights else "disabled"}],
            opts=pulumi.ResourceOptions(parent=self, depends_on=before),
        )
        capacity = aws.ecs.ClusterCapacityProviders(
            f"{name}-capacity",
            cluster_name=cluster.name,
            capacity_providers=["FARGATE", "FARGATE_SPOT"],
            default_capacity_provider_strategies=[{"capacity_provider": "FARGATE", "weight": 1}],
            opts=child,
        )
        self.facts = ClusterFacts(cluster.arn, cluster.name, args.container_insights, ready=[capacity])
        self.register_outputs({"arn": cluster.arn})
