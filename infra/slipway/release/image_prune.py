"""`slipway image prune`: deletes old images of a registry, except those that are deployed or needed for a rollback.

ECR's lifecycle policies consider count and age only; this also checks what ECS runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from slipway.config.errors import SlipwayError
from slipway.release import rollout
from slipway.release.aws_session import ClientFactory
from slipway.release.deployed_stack import DeployedStack, run_pulumi_in_project
from slipway.release.operations import IMAGE_DIGEST_SETTING, ROLLBACK_SETTING

DIGEST_PATTERN = re.compile(r"sha256:[0-9a-f]{64}")
BATCH_SIZE = 100
"""Maximum of images that ECR deletes, and of tasks that ECS describes, in one call."""


@dataclass(frozen=True)
class UnusedImage:
    """An image that no task, task definition, stack output or rollback needs."""

    digest: str
    tags: list[str]
    pushed: str
    """ISO 8601."""
    bytes: int
    """ECR's figure, which includes layers shared with other images: deletion frees less."""


@dataclass(frozen=True)
class PrunePlan:
    """Images to delete."""

    repository: str
    old: list[UnusedImage]
    used: int
    """Number of images that are kept because they are used or could be rolled back to."""
    newest: int
    """Number of other images that are kept as the newest."""

    def json(self) -> dict[str, Any]:
        """Returns the object of `--json`."""
        return asdict(self)


def plan_pruning(stack: DeployedStack, keep: int) -> PrunePlan:
    """Returns the images of the stack's registry that are neither used nor among the newest `keep`. Changes nothing.

    Raises `SlipwayError` for a preview, whose images are in its environment's registry.
    """
    if "foundation" not in stack.outputs:
        raise SlipwayError(
            f"{stack.name} is a preview and has no registry of its own.",
            f"slipway image prune {stack.outputs['preview']['base']}",
        )
    config = json.loads(run_pulumi_in_project("config", "--json", "--stack", stack.name))
    pinned = {
        str(entry.get("value"))
        for key, entry in config.items()
        if key.rpartition(":")[2] in (IMAGE_DIGEST_SETTING, ROLLBACK_SETTING)
    }
    repository = stack.outputs["foundation"]["registry"]["arn"].partition(":repository/")[2]
    # While no preview exists, only the stack's outputs name the image of previews' Redis.
    named = set(DIGEST_PATTERN.findall(json.dumps(stack.outputs)))
    needed = pinned | named | find_used_digests(stack.aws, stack.cluster, stack.services.values())
    return select_unused_images(stack.aws, repository, needed, keep)


def find_used_digests(aws: ClientFactory, cluster: str, services: Iterable[str]) -> set[str]:
    """Returns the digests of all images that run or may run next.

    Includes those of running tasks in the cluster, of active task definitions in the account and region (previews',
    schedules', the last ones of each process), and of the services' current and last deployments, which `rollback`
    considers.
    """
    ecs = aws.client("ecs")
    definitions = {
        arn for page in ecs.get_paginator("list_task_definitions").paginate() for arn in page["taskDefinitionArns"]
    }
    for service in services:
        (description,) = ecs.describe_services(cluster=cluster, services=[service])["services"]
        definitions |= {description["taskDefinition"]}
        definitions |= {deployment["taskDefinition"] for deployment in description["deployments"]}
        history = rollout.get_service_deployments(aws, cluster, service)
        definitions |= {deployment.task_definition for deployment in history if deployment.task_definition}
    running = (arn for page in ecs.get_paginator("list_tasks").paginate(cluster=cluster) for arn in page["taskArns"])
    for arns in _batches(running):
        definitions |= {task["taskDefinitionArn"] for task in ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"]}
    return {digest for arn in definitions for digest in _image_digests(ecs, arn)}


def select_unused_images(aws: ClientFactory, repository: str, needed: set[str], keep: int) -> PrunePlan:
    """Returns images of `repository` that are not `needed`, without the newest `keep`.

    Skips untagged images, which the lifecycle policy expires: parts of other images, or of an interrupted push.
    """
    pages = aws.client("ecr").get_paginator("describe_images").paginate(repositoryName=repository)
    images = [image for page in pages for image in page["imageDetails"] if image.get("imageTags")]
    images.sort(key=lambda image: image["imagePushedAt"], reverse=True)
    stay = needed | {image["imageDigest"] for image in images[:keep]}
    old = [image for image in images if image["imageDigest"] not in stay]
    in_use = sum(image["imageDigest"] in needed for image in images)
    return PrunePlan(
        repository,
        [
            UnusedImage(
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


def delete_images(aws: ClientFactory, pruning: PrunePlan) -> None:
    """Deletes the plan's images, the oldest first. Raises `SlipwayError` with ECR's reason if it refuses one."""
    ecr = aws.client("ecr")
    for digests in _batches(image.digest for image in reversed(pruning.old)):
        ids = [{"imageDigest": digest} for digest in digests]
        failures = ecr.batch_delete_image(repositoryName=pruning.repository, imageIds=ids)["failures"]
        if failures:
            first = failures[0]
            more = f", and {len(failures) - 1} others" if len(failures) > 1 else ""
            raise SlipwayError(
                f"ECR did not delete {first['imageId'].get('imageDigest')}{more}: {first['failureReason']}",
                "Run the same command again: it continues with the others.",
            )


def _image_digests(ecs: Any, definition: str) -> Iterator[str]:
    described = ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]
    for container in described["containerDefinitions"]:
        digest = container["image"].partition("@")[2]
        if digest:
            yield digest


def _batches(items: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(items)
    while batch := list(islice(remaining, BATCH_SIZE)):
        yield batch
