"""The last deployments of a service, from ECS itself: nothing is kept beside it that could say something else."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from infra.release import rollout
from infra.release.client import Aws

RELEASE = "RELEASE"
"""The variable that the app is told its release in: git revision, `-`, the beginning of the digest."""
KEPT_REVISIONS = 20


@dataclass(frozen=True)
class Past:
    """One deployment."""

    when: str
    """ISO 8601, UTC."""
    result: str
    """ECS's status of the service deployment."""
    seconds: float | None
    """None while it is under way."""
    digest: str
    """Of the first container's image that has one."""
    git: str
    """Empty where the release does not name a revision."""
    release: str
    task_definition: str
    """ARN."""

    def json(self) -> dict[str, Any]:
        """For a program."""
        return asdict(self)


def past(aws: Aws, cluster: str, service: str, limit: int = 20) -> list[Past]:
    """The last `limit` deployments of a service, the newest first."""
    found = rollout.deployments(aws.of(cluster), cluster, service, limit)
    images = {arn: _image(aws, arn) for arn in {each.task_definition for each in found}}
    return [
        Past(
            when=datetime.fromtimestamp(each.created, UTC).isoformat(timespec="seconds"),
            result=each.status,
            seconds=each.seconds,
            digest=images[each.task_definition][0],
            git=images[each.task_definition][1].rpartition("-")[0],
            release=images[each.task_definition][1],
            task_definition=each.task_definition,
        )
        for each in found
    ]


def former(history: list[Past], digest: str | None = None) -> Past | None:
    """The deployment to go back to: the last that succeeded with `digest`, or with another one than the newest has."""
    for each in history[1:]:
        wanted = each.digest == digest if digest else each.digest != history[0].digest
        if each.result == rollout.SUCCESSFUL and wanted:
            return each
    return None


def deregister_oldest(aws: Aws, cluster: str, family: str, service: str = "", keep: int = KEPT_REVISIONS) -> list[str]:
    """Deregister the revisions of a family beyond the newest `keep`, without those that `service` runs.

    A family of one-off tasks has no service: what is started is its newest revision, and a task that runs runs on.
    """
    ecs = aws.of(cluster).client("ecs")
    pages = ecs.get_paginator("list_task_definitions").paginate(familyPrefix=family, status="ACTIVE", sort="DESC")
    arns = [
        arn for page in pages for arn in page["taskDefinitionArns"] if arn.rsplit("/", 1)[-1].startswith(f"{family}:")
    ]
    used: set[str] = set()
    if service:
        (about,) = ecs.describe_services(cluster=cluster, services=[service])["services"]
        used = {each["taskDefinition"] for each in about["deployments"]} | {about["taskDefinition"]}
    old = [arn for arn in arns[keep:] if arn not in used]
    for arn in old:
        ecs.deregister_task_definition(taskDefinition=arn)
    return old


def _image(aws: Aws, definition: str) -> tuple[str, str]:
    """Digest and release of a task definition."""
    about = aws.client("ecs").describe_task_definition(taskDefinition=definition)["taskDefinition"]
    containers = about["containerDefinitions"]
    digest = next((d for d in (each["image"].partition("@")[2] for each in containers) if d), "")
    variables = {pair["name"]: pair["value"] for each in containers for pair in each.get("environment", [])}
    return digest, variables.get(RELEASE, "")
