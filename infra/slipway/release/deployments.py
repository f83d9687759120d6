"""Lists the last deployments of a service from ECS itself, and deregisters old task definitions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from slipway.release import rollout
from slipway.release.aws_session import AwsSession

RELEASE_VARIABLE = "RELEASE"
"""Environment variable with the app's release: Git revision, `-`, the first characters of the image digest."""
KEPT_REVISIONS = 20
"""Number of task definitions of a family that stay registered."""


@dataclass(frozen=True)
class PastDeployment:
    """One deployment."""

    when: str
    """ISO 8601, UTC."""
    result: str
    """ECS's status of the service deployment."""
    seconds: float | None
    """None while it is in progress."""
    digest: str
    """Digest of the first container image that has one."""
    git: str
    """Empty if the release does not name a revision."""
    release: str
    task_definition: str
    """ARN."""

    def json(self) -> dict[str, Any]:
        """Returns the object of `--json`."""
        return asdict(self)


def list_past_deployments(aws: AwsSession, cluster: str, service: str, limit: int = 20) -> list[PastDeployment]:
    """Returns the last `limit` deployments of a service, the newest first."""
    listed = rollout.get_service_deployments(aws.of(cluster), cluster, service, limit)
    images = {arn: image_digest_and_release(aws, arn) for arn in {each.task_definition for each in listed}}
    past = []
    for deployment in listed:
        digest, release = images[deployment.task_definition]
        past.append(
            PastDeployment(
                when=datetime.fromtimestamp(deployment.created, UTC).isoformat(timespec="seconds"),
                result=deployment.status,
                seconds=deployment.seconds,
                digest=digest,
                git=release.rpartition("-")[0],
                release=release,
                task_definition=deployment.task_definition,
            )
        )
    return past


def find_former_deployment(history: list[PastDeployment], digest: str | None = None) -> PastDeployment | None:
    """Returns the last successful deployment before the newest: of `digest`, or of an image other than the newest's."""
    for deployment in history[1:]:
        is_match = deployment.digest == digest if digest else deployment.digest != history[0].digest
        if deployment.result == rollout.SUCCESSFUL and is_match:
            return deployment
    return None


def deregister_oldest_revisions(
    aws: AwsSession, cluster: str, family: str, service: str = "", keep: int = KEPT_REVISIONS
) -> list[str]:
    """Deregisters all but the newest `keep` revisions of a family, except those that `service` runs; returns the ARNs.

    A family of standalone tasks has no service: only its newest revision is started, and running tasks continue.
    """
    ecs = aws.of(cluster).client("ecs")
    pages = ecs.get_paginator("list_task_definitions").paginate(familyPrefix=family, status="ACTIVE", sort="DESC")
    arns = [
        arn for page in pages for arn in page["taskDefinitionArns"] if arn.rsplit("/", 1)[-1].startswith(f"{family}:")
    ]
    used: set[str] = set()
    if service:
        (description,) = ecs.describe_services(cluster=cluster, services=[service])["services"]
        used = {each["taskDefinition"] for each in description["deployments"]} | {description["taskDefinition"]}
    old = [arn for arn in arns[keep:] if arn not in used]
    for arn in old:
        ecs.deregister_task_definition(taskDefinition=arn)
    return old


def image_digest_and_release(aws: AwsSession, definition: str) -> tuple[str, str]:
    """Returns image digest and release of a task definition; empty if it has none."""
    described = aws.client("ecs").describe_task_definition(taskDefinition=definition)["taskDefinition"]
    containers = described["containerDefinitions"]
    digests = [container["image"].partition("@")[2] for container in containers]
    digest = next(filter(None, digests), "")
    variables = {pair["name"]: pair["value"] for each in containers for pair in each.get("environment", [])}
    return digest, variables.get(RELEASE_VARIABLE, "")
