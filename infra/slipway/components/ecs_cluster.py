"""The ECS cluster of an environment."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.ecs_exec import exec_configuration
from slipway.components.outputs import ClusterOutputs
from slipway.config import names


@dataclass(frozen=True)
class EcsClusterArgs:
    """Inputs of `EcsCluster`."""

    key_arn: pulumi.Input[str]
    container_insights: bool = True
    """Metrics of services and tasks (ECS.12): about 3 USD a month for the cluster and 6 for each service."""
    log_retention_days: int = 30
    """Days that the log groups of Container Insights and of ECS Exec keep their events."""
    exec: bool = False
    """Whether there is a log group for the sessions of ECS Exec, which the cluster then logs under the key."""


class EcsCluster(pulumi.ComponentResource):
    """Creates a cluster with the Fargate and Fargate Spot capacity providers, and the log groups of Container Insights
    and of ECS Exec.

    AWS would create the first of them itself, without retention or a key; it is created first, so the cluster's name
    must be deterministic: it ends in a hash of the key's ARN, which is another one when the environment is created
    again. Free by itself.
    """

    outputs: ClusterOutputs

    def __init__(self, name: str, args: EcsClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:ecs:EcsCluster", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        cluster_name = pulumi.Output.from_input(args.key_arn).apply(
            lambda arn: f"{name}-cluster-{names.short_hash(arn)}"
        )
        depends_on: list[pulumi.Resource] = []
        if args.container_insights:
            log_group = aws.cloudwatch.LogGroup(
                f"{name}-insights",
                name=pulumi.Output.format("/aws/ecs/containerinsights/{0}/performance", cluster_name),
                retention_in_days=args.log_retention_days,
                kms_key_id=args.key_arn,
                opts=child,
            )
            depends_on.append(log_group)
        exec_log_group: aws.cloudwatch.LogGroup | None = None
        if args.exec:
            exec_log_group = aws.cloudwatch.LogGroup(
                f"{name}-exec", retention_in_days=args.log_retention_days, kms_key_id=args.key_arn, opts=child
            )
        cluster = aws.ecs.Cluster(
            f"{name}-cluster",
            name=cluster_name,
            settings=[{"name": "containerInsights", "value": "enabled" if args.container_insights else "disabled"}],
            configuration=exec_configuration(exec_log_group.name, args.key_arn) if exec_log_group else None,
            opts=pulumi.ResourceOptions(parent=self, depends_on=depends_on),
        )
        capacity = aws.ecs.ClusterCapacityProviders(
            f"{name}-capacity",
            cluster_name=cluster.name,
            capacity_providers=["FARGATE", "FARGATE_SPOT"],
            default_capacity_provider_strategies=[{"capacity_provider": "FARGATE", "weight": 1}],
            opts=child,
        )
        self.outputs = ClusterOutputs(
            cluster.arn,
            cluster.name,
            args.container_insights,
            exec_log_group.arn if exec_log_group else "",
            ready=[capacity],
        )
        self.register_outputs({"arn": cluster.arn})
