"""Typed outputs of `slipway.deploy()`, for a team's own resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pulumi

from slipway.components.outputs import (
    ClusterOutputs,
    EnvironmentOutputs,
    LoadBalancerOutputs,
    NetworkOutputs,
    RepositoryOutputs,
    TaskPlacement,
)
from slipway.program.process_outputs import ProcessOutputs


@dataclass(frozen=True)
class Deployment:
    """The resources of a stack: an environment's own; for a preview those of its base, and its own process."""

    name: str
    """`<project>-<stack>`, which begins the name of every resource."""
    kind: Literal["environment", "preview"]
    outputs: EnvironmentOutputs
    """Everything that previews read, and `network`, `cluster` and so on."""
    url: pulumi.Input[str]
    """URL of the app."""
    image: pulumi.Output[str]
    """Reference of the app's image, with its digest."""
    processes: Mapping[str, ProcessOutputs] = field(default_factory=dict)
    """Process of stacks/app.yaml -> its service, task definition, log group and roles."""
    alarms_topic_arn: pulumi.Output[str] | None = None
    """SNS topic of alarms; None for a preview."""

    @property
    def network(self) -> NetworkOutputs:
        """Returns the VPC and its subnets."""
        return self.outputs.network

    @property
    def cluster(self) -> ClusterOutputs:
        """Returns the ECS cluster."""
        return self.outputs.cluster

    @property
    def load_balancer(self) -> LoadBalancerOutputs:
        """Returns the load balancer; its `listener_arn` takes rules with a priority of 41000 to 49998."""
        return self.outputs.load_balancer

    @property
    def repository(self) -> RepositoryOutputs:
        """Returns the ECR repository."""
        return self.outputs.registry

    @property
    def key_arn(self) -> pulumi.Input[str]:
        """Returns the KMS key of the environment."""
        return self.outputs.key_arn

    def task_placement(self, *stores: str) -> TaskPlacement:
        """Returns network and cluster for a team's own service, with access to `stores` (database, cache)."""
        return TaskPlacement(self.network, self.cluster, self.outputs.stores(*stores))
