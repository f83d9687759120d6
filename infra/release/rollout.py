"""One rollout of one service, followed to its end by what ECS itself says of it.

The truth is in the service deployment: it names the revision that it is for, and only it has the ROLLBACK states. No
clock of this machine is compared with one of AWS's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.release.client import Clients
from infra.release.speaker import Say

UNDER_WAY = ("PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")
SUCCESSFUL = "SUCCESSFUL"
CHECK_FAILED = "Task failed "
"""How ECS's reason begins: `... ELB health checks in (target-group ...)`, `... container health checks`."""
POLL_SECONDS = 2.0
"""Four calls each time; ECS allows 20 reads a second in an account and region, to everybody in it together."""
TIMEOUT_SECONDS = 2400.0
"""The circuit breaker may take 18 minutes to give a service of one task up."""


@dataclass(frozen=True)
class Service:
    """The service that is looked at, and what it was asked to run."""

    cluster: str
    """ARN."""
    name: str
    task_definition: str
    """ARN."""


@dataclass(frozen=True)
class Deployment:
    """A service deployment as ECS tells it."""

    arn: str
    status: str
    reason: str
    revision: str
    """ARN of the service revision that it is for."""
    task_definition: str
    """ARN of that revision's task definition."""
    created: float
    """By AWS's clock, in seconds."""
    seconds: float | None
    """From its start to its end; None while it is under way."""

    @property
    def ended(self) -> bool:
        """Whether nothing of it is still to come."""
        return self.status not in UNDER_WAY


def deployments(aws: Clients, cluster: str, service: str, limit: int = 20) -> list[Deployment]:
    """The last deployments of a service, the newest first."""
    ecs = aws.client("ecs")
    listed = ecs.list_service_deployments(cluster=cluster, service=service, maxResults=limit)["serviceDeployments"]
    if not listed:
        return []
    arns = list({each["targetServiceRevisionArn"] for each in listed})
    revisions = ecs.describe_service_revisions(serviceRevisionArns=arns)["serviceRevisions"]
    definitions = {each["serviceRevisionArn"]: each["taskDefinition"] for each in revisions}
    return [
        Deployment(
            arn=each["serviceDeploymentArn"],
            status=each["status"],
            reason=each.get("statusReason", ""),
            revision=each["targetServiceRevisionArn"],
            task_definition=definitions.get(each["targetServiceRevisionArn"], ""),
            created=each["createdAt"].timestamp(),
            seconds=_seconds(each),
        )
        for each in sorted(listed, key=lambda each: each["createdAt"], reverse=True)
    ]


def newest(aws: Clients, cluster: str, service: str) -> Deployment | None:
    """A service's last deployment; None where it never had one."""
    return next(iter(deployments(aws, cluster, service, limit=1)), None)


def _seconds(listed: Any) -> float | None:
    if "finishedAt" not in listed:
        return None
    return float((listed["finishedAt"] - listed.get("startedAt", listed["createdAt"])).total_seconds())


def follow(
    aws: Clients,
    service: Service,
    say: Say,
    timeout: float = TIMEOUT_SECONDS,
    pause: Callable[[float], None] = time.sleep,
) -> Deployment | None:
    """Wait for the end of the newest deployment, telling its progress; None where the service never had one.

    One that has stalled, because ECS stopped starting tasks without a revision to go back to, is returned as it is.
    Raises `TimeoutError` after `timeout` seconds.
    """
    started, told = time.monotonic(), ""
    while True:
        latest = newest(aws, service.cluster, service.name)
        if latest is None or latest.ended:
            return latest
        now = progress(aws, service, latest)
        if now.stalled:  # maybe since it was asked for, and then it has ended meanwhile
            return newest(aws, service.cluster, service.name)
        if now.text != told:
            told = now.text
            say(f"{told}, {time.monotonic() - started:.0f} s")
        if time.monotonic() - started > timeout:
            raise TimeoutError(f"the rollout of {service.name} is not over after {timeout:.0f} s: {told}")
        pause(POLL_SECONDS)


@dataclass(frozen=True)
class Progress:
    """How far a rollout is."""

    text: str
    stalled: bool


def progress(aws: Clients, service: Service, deployment: Deployment) -> Progress:
    """Tasks of the new revision by state, and those of others that are still there."""
    ecs = aws.client("ecs")
    (found,) = ecs.describe_services(cluster=service.cluster, services=[service.name])["services"]
    mine: list[Any] = []
    others: list[Any] = []
    for task in tasks(aws, service):
        (mine if belongs(task, deployment) else others).append(task)
    counts = {
        "pending": sum(task["lastStatus"] in ("PROVISIONING", "PENDING", "ACTIVATING") for task in mine),
        "running": sum(task["lastStatus"] == "RUNNING" for task in mine),
        "healthy": sum(task["lastStatus"] == "RUNNING" and task.get("healthStatus") == "HEALTHY" for task in mine),
        "draining": sum(task["desiredStatus"] == "STOPPED" for task in [*mine, *others]),
        "of the old revision": sum(task["desiredStatus"] == "RUNNING" for task in others),
    }
    doing = "rolling back" if deployment.status.startswith("ROLLBACK") else "rolling out"
    states = [each.get("rolloutState") for each in found["deployments"] if each["status"] == "PRIMARY"]
    parts = ", ".join(f"{number} {what}" for what, number in counts.items())
    return Progress(f"{service.name} {doing}: {parts}", stalled=states == ["FAILED"])


def tasks(aws: Clients, service: Service) -> list[Any]:
    """The service's tasks that have not stopped yet."""
    return [task for task in _tasks(aws, service, ("RUNNING", "STOPPED")) if task["lastStatus"] != "STOPPED"]


def stopped_tasks(aws: Clients, service: Service, deployment: Deployment) -> list[Any]:
    """The tasks of one deployment that ended unasked, the last one first."""
    found = [
        task
        for task in _tasks(aws, service, ("STOPPED",))
        if belongs(task, deployment) and task["lastStatus"] == "STOPPED" and fell(task)
    ]
    return sorted(found, key=lambda task: task["stoppedAt"], reverse=True)


def fell(task: Any) -> bool:
    """Whether a stopped task ended unasked. ECS has no code of its own for one that it stopped because a check failed:
    only the reason tells it from one that a deployment stopped (aws/containers-roadmap #612).
    """
    asked = task.get("stopCode") in ("ServiceSchedulerInitiated", "UserInitiated")
    return not asked or str(task.get("stoppedReason")).startswith(CHECK_FAILED)


def belongs(task: Any, deployment: Deployment) -> bool:
    """Whether a task was started for a deployment: of its task definition, and not before it (both by AWS's clock)."""
    return bool(
        task["taskDefinitionArn"] == deployment.task_definition and task["createdAt"].timestamp() >= deployment.created
    )


def _tasks(aws: Clients, service: Service, desired: tuple[str, ...]) -> list[Any]:
    ecs = aws.client("ecs")
    arns = [
        arn
        for status in desired
        for page in ecs.get_paginator("list_tasks").paginate(
            cluster=service.cluster, serviceName=service.name, desiredStatus=status
        )
        for arn in page["taskArns"]
    ]
    return [
        task
        for start in range(0, len(arns), 100)
        for task in ecs.describe_tasks(cluster=service.cluster, tasks=arns[start : start + 100])["tasks"]
    ]
