"""What components stand on, as plain facts: no test has to make a network to look at a service."""

from __future__ import annotations

from typing import Any

from infra.components.task import Container, TaskArgs
from infra.foundation import (
    ClusterFacts,
    Foundation,
    LoadBalancerFacts,
    NetworkFacts,
    Place,
    PreviewFacts,
    RegistryFacts,
    SecretValue,
    StoreFacts,
    TaskFacts,
)

CLUSTER_ARN = "arn:aws:ecs:eu-central-1:123456789012:cluster/main"
NETWORK = NetworkFacts(
    "vpc-1", ["public-1", "public-2"], ["private-1", "private-2"], ["isolated-1", "isolated-2"], ["10.0.0.0/20"]
)
DOOR = LoadBalancerFacts("arn:listener", "lb-group", "app/lb/1", "lb.example", "Z1", "http://lb.example/")
CLUSTER = ClusterFacts(CLUSTER_ARN, "main", counts_tasks=True)
REGISTRY = RegistryFacts("registry/app", "arn:repository")
DATABASE = StoreFacts("database", "database-group", 5433, "db.example", 5433)
CACHE = StoreFacts("cache", "cache-group", 6379, "cache.example", 6379)
PLACE = Place(NETWORK, CLUSTER, [DATABASE, CACHE])
PREVIEWS = PreviewFacts(
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
FOUNDATION = Foundation(NETWORK, DOOR, CLUSTER, REGISTRY, "arn:key", DATABASE, CACHE)


def task(name: str = "web", **more: Any) -> TaskArgs:
    """A task of one container that serves on 8000 and has a plain and a secret variable."""
    container = Container(
        name,
        "registry/app@sha256:abc",
        environment={"LOG_LEVEL": "info"},
        secrets={"SECRET_KEY": SecretValue("arn:secret", "arn:secret:value::v1")},
        port=8000,
    )
    return TaskArgs([container], "arn:repository", "arn:key", **more)


def task_facts(family: str) -> TaskFacts:
    """A task definition that somebody made."""
    arn = f"arn:aws:ecs:::task-definition/{family}"
    return TaskFacts(f"{arn}:1", family, arn, f"{family}-logs", f"arn:{family}-logs", [f"arn:{family}-role"])
