"""The ECS cluster that an environment's services run in."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

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

    arn: pulumi.Output[str]
    name: pulumi.Output[str]
    task_arn: pulumi.Output[str]
    """What the ARNs of its tasks begin with ..."""
    deployment_arn: pulumi.Output[str]
    """... and those of its services' deployments."""
    ready: list[pulumi.Resource]
    """What has to be there before a service asks for Spot."""
    counts_tasks: bool
    """Whether there are metrics of how many run."""

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
        self.arn = cluster.arn
        self.name = cluster.name
        self.counts_tasks = args.container_insights
        self.task_arn = cluster.arn.apply(lambda arn: arn.replace(":cluster/", ":task/"))
        self.deployment_arn = cluster.arn.apply(lambda arn: arn.replace(":cluster/", ":service-deployment/"))
        self.ready = [capacity]
        self.register_outputs({"arn": self.arn})
