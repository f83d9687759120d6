"""The ECS cluster that an environment's services run in."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.foundation import ClusterFacts
from infra.settings import Settings


@dataclass(frozen=True)
class ClusterArgs:
    """Inputs of `Cluster`."""

    container_insights: bool = True
    """ECS.12; metrics of services and tasks, about 3 USD a month for the cluster and 6 for each service."""

    @classmethod
    def of(cls, settings: Settings) -> ClusterArgs:
        """As a stack's settings have it."""
        return cls(settings.container_insights)


class Cluster(pulumi.ComponentResource):
    """An ECS cluster with the Fargate and Fargate Spot capacity providers. Free by itself."""

    facts: ClusterFacts

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:cluster:Cluster", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        cluster = aws.ecs.Cluster(
            f"{name}-cluster",
            settings=[{"name": "containerInsights", "value": "enabled" if args.container_insights else "disabled"}],
            opts=child,
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
