"""Follows one rollout of an ECS service to its end.

The service deployment is decisive: it names its service revision, and only it has the ROLLBACK states. This machine's
clock is never compared with AWS's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.release.aws_errors import retry_reads
from slipway.release.aws_session import ClientFactory
from slipway.release.clock import SYSTEM_CLOCK, Clock
from slipway.release.progress import ProgressReporter

IN_PROGRESS_STATUSES = ("PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")
SUCCESSFUL = "SUCCESSFUL"
HEALTH_CHECK_FAILED_PREFIX = "Task failed "
"""Prefix of ECS's reason: `... ELB health checks in (target-group ...)`, `... container health checks`."""
UNASKED_STOP_CODES = ("EssentialContainerExited", "TaskFailedToStart", None)
"""`stopCode` values of a failed task. Spot interruptions and retired hosts are not failures of the release."""
POLL_SECONDS = 2.0
"""Each poll makes four calls; ECS allows 20 reads a second to all clients of an account and region together."""
TROUBLE_SECONDS = 15.0
"""How long new tasks have to fail their checks before that is reported: an app that starts slowly fails some."""
ROLLOUT_TIMEOUT_SECONDS = 2400.0
"""The circuit breaker needs up to 18 minutes to fail the deployment of a service with one task."""
SETTLE_SECONDS = 30.0


@dataclass(frozen=True)
class ExpectedService:
    """An ECS service and the task definition that it should run."""

    cluster: str
    """ARN."""
    name: str
    task_definition: str
    """ARN."""
    settle_seconds: float = SETTLE_SECONDS
    """Minimum age of tasks without a failure, if the service has no health check."""


@dataclass(frozen=True)
class ServiceDeployment:
    """An ECS service deployment."""

    arn: str
    status: str
    reason: str
    revision: str
    """ARN of its service revision."""
    task_definition: str
    """ARN of that revision's task definition."""
    created: float
    """Seconds since 1970, by AWS's clock."""
    seconds: float | None
    """Duration; None while it is in progress."""
    load_balancers: Sequence[Mapping[str, Any]] = ()
    """Load balancers of its service revision: `targetGroupArn`, `containerName`, `containerPort`."""

    @property
    def ended(self) -> bool:
        """Whether it has ended, successfully or not."""
        return self.status not in IN_PROGRESS_STATUSES


def get_service_deployments(aws: ClientFactory, cluster: str, service: str, limit: int = 20) -> list[ServiceDeployment]:
    """Returns the last `limit` deployments of a service, the newest first."""
    ecs = aws.client("ecs")
    listed = ecs.list_service_deployments(cluster=cluster, service=service, maxResults=limit)["serviceDeployments"]
    if not listed:
        return []
    arns = list({deployment["targetServiceRevisionArn"] for deployment in listed})
    described = ecs.describe_service_revisions(serviceRevisionArns=arns)["serviceRevisions"]
    revisions = {revision["serviceRevisionArn"]: revision for revision in described}
    newest_first = sorted(listed, key=lambda deployment: deployment["createdAt"], reverse=True)
    return [_parse_deployment(deployment, revisions) for deployment in newest_first]


def get_newest_deployment(aws: ClientFactory, cluster: str, service: str) -> ServiceDeployment | None:
    """Returns a service's last deployment; None if it never had one."""
    return next(iter(get_service_deployments(aws, cluster, service, limit=1)), None)


def _parse_deployment(listed: Any, revisions: Mapping[str, Any]) -> ServiceDeployment:
    revision = revisions.get(listed["targetServiceRevisionArn"], {})
    return ServiceDeployment(
        arn=listed["serviceDeploymentArn"],
        status=listed["status"],
        reason=listed.get("statusReason", ""),
        revision=listed["targetServiceRevisionArn"],
        task_definition=revision.get("taskDefinition", ""),
        created=listed["createdAt"].timestamp(),
        seconds=_deployment_seconds(listed),
        load_balancers=tuple(revision.get("loadBalancers") or ()),
    )


def _deployment_seconds(listed: Any) -> float | None:
    if "finishedAt" not in listed:
        return None
    return float((listed["finishedAt"] - listed.get("startedAt", listed["createdAt"])).total_seconds())


def wait_for_rollout(
    aws: ClientFactory,
    service: ExpectedService,
    say: ProgressReporter,
    timeout: float = ROLLOUT_TIMEOUT_SECONDS,
    pause: Callable[[float], None] | None = None,
    *,
    clock: Clock = SYSTEM_CLOCK,
    on_rollback: Callable[[ServiceDeployment], None] | None = None,
    on_trouble: Callable[[ServiceDeployment, str], None] | None = None,
) -> ServiceDeployment | None:
    """Waits for the end of the service's newest deployment and reports its progress; None if it never had one.

    Returns a stalled deployment too: ECS starts no more tasks and has no revision to roll back to.
    `pause`: sleeps instead of the clock. `on_rollback`: called once, when ECS begins to roll back. `on_trouble`: called
    once, when new tasks have failed their checks for `TROUBLE_SECONDS`: ECS gives up minutes later only.
    Raises `TimeoutError` after `timeout` seconds, and botocore's errors other than throttling.
    """
    sleep = pause or clock.sleep
    started = clock.now()
    last_line = ""
    is_rollback_reported = False
    trouble_since: float | None = None
    is_trouble_reported = False
    while True:
        latest, progress = retry_reads(lambda: _look(aws, service), say, clock)
        if latest is None or latest.ended or progress is None:
            return latest
        if progress.text != last_line:
            last_line = progress.text
            say(f"{last_line}, {clock.now() - started:.0f} s")
        if latest.status.startswith("ROLLBACK") and on_rollback and not is_rollback_reported:
            is_rollback_reported = True
            on_rollback(latest)
        if not progress.trouble:
            trouble_since = None
        elif trouble_since is None:
            trouble_since = clock.now()
        is_lasting = trouble_since is not None and clock.now() - trouble_since >= TROUBLE_SECONDS
        if is_lasting and on_trouble and not is_trouble_reported and not is_rollback_reported:
            is_trouble_reported = True
            on_trouble(latest, progress.trouble)
        if clock.now() - started > timeout:
            raise TimeoutError(f"the rollout of {service.name} did not end in {timeout:.0f} s: {last_line}")
        sleep(POLL_SECONDS)


def _look(aws: ClientFactory, service: ExpectedService) -> tuple[ServiceDeployment | None, RolloutProgress | None]:
    """Returns the newest deployment and its progress; None as progress if there is none to wait for."""
    latest = get_newest_deployment(aws, service.cluster, service.name)
    if latest is None or latest.ended:
        return latest, None
    progress = get_rollout_progress(aws, service, latest)
    if progress.is_stalled:  # it may have ended since the first call
        return get_newest_deployment(aws, service.cluster, service.name), None
    return latest, progress


@dataclass(frozen=True)
class RolloutProgress:
    """The progress of a rollout."""

    text: str
    is_stalled: bool
    trouble: str = ""
    """Why a new task does not get healthy, as soon as anybody says so; empty for none."""


def get_rollout_progress(
    aws: ClientFactory, service: ExpectedService, deployment: ServiceDeployment
) -> RolloutProgress:
    """Returns the tasks of the new revision by state, and the running ones of older revisions."""
    description = describe_service(aws, service)
    new_tasks: list[Any] = []
    old_tasks: list[Any] = []
    for task in list_current_tasks(aws, service):
        (new_tasks if is_task_of_deployment(task, deployment) else old_tasks).append(task)
    running = [task for task in new_tasks if task["lastStatus"] == "RUNNING"]
    counts = {
        "pending": sum(task["lastStatus"] in ("PROVISIONING", "PENDING", "ACTIVATING") for task in new_tasks),
        "running": len(running),
        "healthy": sum(task.get("healthStatus") == "HEALTHY" for task in running),
        "draining": sum(task["desiredStatus"] == "STOPPED" for task in [*new_tasks, *old_tasks]),
        "of the old revision": sum(task["desiredStatus"] == "RUNNING" for task in old_tasks),
    }
    phase = "rolling back" if deployment.status.startswith("ROLLBACK") else "rolling out"
    primary_states = [each.get("rolloutState") for each in description["deployments"] if each["status"] == "PRIMARY"]
    parts = ", ".join(f"{number} {state}" for state, number in counts.items())
    trouble = find_trouble(aws, deployment, running)
    return RolloutProgress(f"{service.name} {phase}: {parts}", primary_states == ["FAILED"], trouble)


def find_trouble(aws: ClientFactory, deployment: ServiceDeployment, running: Sequence[Any]) -> str:
    """What says that a running task of the new revision does not get healthy; empty for nothing.

    The load balancer knows after half a minute, when ECS still grants the grace period and does not look.
    """
    unhealthy = [container["name"] for task in running for container in task["containers"] if _is_unhealthy(container)]
    if unhealthy:
        return f"the container {unhealthy[0]} fails its health check"
    waiting = {address for task in running if task.get("healthStatus") != "HEALTHY" for address in task_addresses(task)}
    for target in deployment.load_balancers if waiting else ():
        arn = target.get("targetGroupArn")
        described = aws.client("elbv2").describe_target_health(TargetGroupArn=arn) if arn else {}
        for each in described.get("TargetHealthDescriptions", []):
            health = each["TargetHealth"]
            if each["Target"]["Id"] in waiting and health["State"] == "unhealthy":
                reason = health.get("Description") or health.get("Reason") or "no reason given"
                return f"the load balancer gets no healthy answer on port {each['Target'].get('Port')}: {reason}"
    return ""


def _is_unhealthy(container: Mapping[str, Any]) -> bool:
    return container.get("healthStatus") == "UNHEALTHY"


def task_addresses(task: Mapping[str, Any]) -> list[str]:
    """Returns a task's private IPv4 addresses, by which a load balancer knows it."""
    details = [detail for attachment in task.get("attachments") or [] for detail in attachment.get("details") or []]
    return [detail["value"] for detail in details if detail["name"] == "privateIPv4Address"]


def describe_service(aws: ClientFactory, service: ExpectedService) -> Any:
    """Returns the service from DescribeServices."""
    (description,) = aws.client("ecs").describe_services(cluster=service.cluster, services=[service.name])["services"]
    return description


def list_current_tasks(aws: ClientFactory, service: ExpectedService) -> list[Any]:
    """Returns the service's tasks that have not stopped."""
    return [task for task in _describe_tasks(aws, service, ("RUNNING", "STOPPED")) if task["lastStatus"] != "STOPPED"]


def list_stopped_tasks(aws: ClientFactory, service: ExpectedService) -> list[Any]:
    """Returns the service's stopped tasks, which ECS lists for one hour, the last one first."""
    stopped = [task for task in _describe_tasks(aws, service, ("STOPPED",)) if task["lastStatus"] == "STOPPED"]
    return sorted(stopped, key=lambda task: task["stoppedAt"], reverse=True)


def list_failed_tasks(aws: ClientFactory, service: ExpectedService, deployment: ServiceDeployment) -> list[Any]:
    """Returns the failed tasks of one deployment, the last one first."""
    return [
        task
        for task in list_stopped_tasks(aws, service)
        if is_task_of_deployment(task, deployment) and is_failed_task(task)
    ]


def is_failed_task(task: Any) -> bool:
    """Whether a stopped task failed.

    ECS has no separate code for a task stopped because of a health check: only the reason distinguishes it from one
    stopped by a deployment (aws/containers-roadmap #612).
    """
    is_unasked = task.get("stopCode") in UNASKED_STOP_CODES
    return is_unasked or str(task.get("stoppedReason")).startswith(HEALTH_CHECK_FAILED_PREFIX)


def is_task_of_deployment(task: Any, deployment: ServiceDeployment) -> bool:
    """Whether a deployment started a task: of its task definition, and not created before it (both by AWS's clock)."""
    return bool(
        task["taskDefinitionArn"] == deployment.task_definition and task["createdAt"].timestamp() >= deployment.created
    )


def _describe_tasks(aws: ClientFactory, service: ExpectedService, desired_statuses: Sequence[str]) -> list[Any]:
    ecs = aws.client("ecs")
    arns = [
        arn
        for status in desired_statuses
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
