"""What components stand on, as plain facts: no test has to make a network to look at a service."""

from __future__ import annotations

from typing import Any

from slipway.components.outputs import (
    ClusterOutputs,
    DataStoreOutputs,
    EnvironmentOutputs,
    LoadBalancerOutputs,
    NetworkOutputs,
    PreviewSharedOutputs,
    RepositoryOutputs,
    RoleOutputs,
    SecretReference,
    TaskDefinitionOutputs,
    TaskPlacement,
)
from slipway.components.task_definition import ContainerDefinition, FargateTaskDefinitionArgs

CLUSTER_ARN = "arn:aws:ecs:eu-central-1:123456789012:cluster/main"
NETWORK = NetworkOutputs(
    "vpc-1", ["public-1", "public-2"], ["private-1", "private-2"], ["isolated-1", "isolated-2"], ["10.0.0.0/20"]
)
DOOR = LoadBalancerOutputs("arn:listener", "lb-group", "app/lb/1", "lb.example", "Z1", "http://lb.example/")
CLUSTER = ClusterOutputs(CLUSTER_ARN, "main", counts_tasks=True)
REGISTRY = RepositoryOutputs("registry/app", "arn:repository")
DATABASE = DataStoreOutputs("database", "database-group", 5433, "db.example", 5433)
CACHE = DataStoreOutputs("cache", "cache-group", 6379, "cache.example", 6379)
PLACE = TaskPlacement(NETWORK, CLUSTER, [DATABASE, CACHE])
PREVIEWS = PreviewSharedOutputs(
    "preview.example.com",
    "https://preview.example.com/",
    "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/lb/1/2",
    5,
    "previews-group",
    "arn:execution",
    "arn:task",
    "registry/app@sha256:redis",
    "slipway-dev-previews-db",
)
FOUNDATION = EnvironmentOutputs(NETWORK, DOOR, CLUSTER, REGISTRY, "arn:key", DATABASE, CACHE)


def task(name: str = "web", **more: Any) -> FargateTaskDefinitionArgs:
    """A task of one container that serves on 8000 and has a plain and a secret variable."""
    container = ContainerDefinition(
        name,
        "registry/app@sha256:abc",
        environment={"LOG_LEVEL": "info"},
        secrets={"SECRET_KEY": SecretReference("arn:secret", "arn:secret:value::v1")},
        port=8000,
    )
    return FargateTaskDefinitionArgs([container], "arn:repository", "arn:key", **more)


def task_facts(family: str) -> TaskDefinitionOutputs:
    """A task definition that somebody made."""
    arn = f"arn:aws:ecs:::task-definition/{family}"
    return TaskDefinitionOutputs(
        f"{arn}:1",
        family,
        arn,
        f"{family}-logs",
        f"arn:{family}-logs",
        RoleOutputs(f"{family}-execution", f"arn:{family}-execution"),
        RoleOutputs(f"{family}-task", f"arn:{family}-task"),
    )
