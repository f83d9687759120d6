"""`slipway image prune`: old images leave the registry by count, but none that is deployed or could be gone back to.

ECR's own lifecycle knows count and age, and not what ECS runs: so this asks ECS first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from infra.errors import SlipwayError
from infra.release import rollout
from infra.release.client import Clients
from infra.release.commands import BACK, PINNED
from infra.release.stack import Stack, pulumi

AT_ONCE = 100
"""What ECR deletes, and ECS describes of tasks, in one call."""


@dataclass(frozen=True)
class Old:
    """An image that nothing needs."""

    digest: str
    tags: list[str]
    pushed: str
    """ISO 8601."""
    bytes: int
    """As ECR counts: with layers that other images have as well, so less than that is freed."""


@dataclass(frozen=True)
class Pruning:
    """What is to go, as it was found."""

    repository: str
    old: list[Old]
    used: int
    """Images that stay because something uses them or could be rolled back to them."""
    newest: int
    """Images that stay beside those, as the newest."""

    def json(self) -> dict[str, Any]:
        """For a program."""
        return asdict(self)


def find(stack: Stack, keep: int) -> Pruning:
    """Look which images of the stack's registry are neither used nor among the newest `keep`. Changes nothing.

    Raises `SlipwayError` for a preview, whose images are in its environment's registry.
    """
    if "foundation" not in stack.outputs:
        raise SlipwayError(
            f"{stack.name} is a preview and has no registry of its own.",
            f"slipway image prune {stack.outputs['preview']['base']}",
        )
    project = json.loads(pulumi("config", "--json", "--stack", stack.name))
    pinned = {str(entry.get("value")) for key, entry in project.items() if key.rpartition(":")[2] in (PINNED, BACK)}
    repository = stack.outputs["foundation"]["registry"]["arn"].partition(":repository/")[2]
    needed = pinned | used(stack.aws, stack.cluster, stack.services.values())
    return prunable(stack.aws, repository, needed, keep)


def used(aws: Clients, cluster: str, services: Iterable[str]) -> set[str]:
    """Digests of all images that something runs or may run next.

    Those are in a task that runs in the cluster, an active task definition of the account and region (previews',
    schedules', the last ones of each process), one that a service is at, or one of its last deployments, which
    `rollback` looks through.
    """
    ecs = aws.client("ecs")
    found = {
        arn for page in ecs.get_paginator("list_task_definitions").paginate() for arn in page["taskDefinitionArns"]
    }
    for service in services:
        (about,) = ecs.describe_services(cluster=cluster, services=[service])["services"]
        found |= {about["taskDefinition"], *(each["taskDefinition"] for each in about["deployments"])}
        found |= {each.task_definition for each in rollout.deployments(aws, cluster, service) if each.task_definition}
    running = (arn for page in ecs.get_paginator("list_tasks").paginate(cluster=cluster) for arn in page["taskArns"])
    for arns in _parts(running):
        found |= {task["taskDefinitionArn"] for task in ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"]}
    return {digest for arn in found for digest in _digests(ecs, arn)}


def prunable(aws: Clients, repository: str, needed: set[str], keep: int) -> Pruning:
    """Which images of `repository` are not `needed`, beyond the newest `keep`.

    One without a tag is the lifecycle's to expire: it is part of another one, or what a broken push left behind.
    """
    pages = aws.client("ecr").get_paginator("describe_images").paginate(repositoryName=repository)
    images = [image for page in pages for image in page["imageDetails"] if image.get("imageTags")]
    images.sort(key=lambda image: image["imagePushedAt"], reverse=True)
    stay = needed | {image["imageDigest"] for image in images[:keep]}
    old = [image for image in images if image["imageDigest"] not in stay]
    in_use = sum(image["imageDigest"] in needed for image in images)
    return Pruning(
        repository,
        [
            Old(
                image["imageDigest"],
                sorted(image["imageTags"]),
                image["imagePushedAt"].isoformat(timespec="seconds"),
                image["imageSizeInBytes"],
            )
            for image in old
        ],
        used=in_use,
        newest=len(images) - len(old) - in_use,
    )


def delete(aws: Clients, pruning: Pruning) -> None:
    """Delete what was found, the oldest first. Raises `SlipwayError` with ECR's reason for an image that stays."""
    ecr = aws.client("ecr")
    for digests in _parts(image.digest for image in reversed(pruning.old)):
        ids = [{"imageDigest": digest} for digest in digests]
        failures = ecr.batch_delete_image(repositoryName=pruning.repository, imageIds=ids)["failures"]
        if failures:
            (first, *others) = failures
            more = f", and {len(others)} others" if others else ""
            raise SlipwayError(
                f"ECR keeps {first['imageId'].get('imageDigest')}{more}: {first['failureReason']}",
                "What was deleted is gone; the command can be run again.",
            )


def _digests(ecs: Any, definition: str) -> Iterator[str]:
    about = ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]
    for container in about["containerDefinitions"]:
        digest = container["image"].partition("@")[2]
        if digest:
            yield digest


def _parts(items: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(items)
    while part := list(islice(rest, AT_ONCE)):
        yield part
