"""Refuses to retire database users that running tasks still log in with."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from slipway.config.errors import SlipwayError
from slipway.release.aws_session import AwsSession

DESCRIBE_TASKS_LIMIT = 100
"""Maximum of tasks in one call of DescribeTasks."""


def check_retired_users(aws: AwsSession, cluster: str, users: Collection[str]) -> None:
    """Raises `SlipwayError` if a running task of the cluster has one of `users` in its environment.

    The release task drops retired users before the services change: a rotation is two releases, one that raises
    secretsGeneration, and one that sets secretsRetired when every task has the new secrets.
    """
    if not users or not cluster:
        return
    in_use: dict[str, set[str]] = {}
    for family, environment in _running_environments(aws, cluster):
        for user in set(environment) & set(users):
            in_use.setdefault(user, set()).add(family)
    if in_use:
        described = "; ".join(f"{user} by {', '.join(sorted(families))}" for user, families in sorted(in_use.items()))
        raise SlipwayError(
            f"secretsRetired would drop database users that running tasks log in with: {described}. "
            "Nothing was changed.",
            "Deploy the raised secretsGeneration first (pulumi config set secretsRetired to the previous value, pulumi "
            "up), then raise secretsRetired and deploy again.",
        )


def _running_environments(aws: AwsSession, cluster: str) -> Iterator[tuple[str, list[str]]]:
    """Yields family and plain environment values of each running task definition."""
    ecs = aws.client("ecs")
    arns = [arn for page in ecs.get_paginator("list_tasks").paginate(cluster=cluster) for arn in page["taskArns"]]
    definitions: set[str] = set()
    for start in range(0, len(arns), DESCRIBE_TASKS_LIMIT):
        tasks = ecs.describe_tasks(cluster=cluster, tasks=arns[start : start + DESCRIBE_TASKS_LIMIT])["tasks"]
        definitions |= {task["taskDefinitionArn"] for task in tasks}
    for arn in sorted(definitions):
        definition: dict[str, Any] = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
        values = [
            variable["value"]
            for container in definition["containerDefinitions"]
            for variable in container.get("environment") or []
        ]
        yield definition["family"], values
