"""Watches new tasks after their rollout: ECS reports success as soon as they run, or are healthy once."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from slipway.release import rollout
from slipway.release.aws_errors import retry_reads
from slipway.release.aws_session import ClientFactory
from slipway.release.clock import Clock
from slipway.release.progress import ProgressReporter
from slipway.release.rollout import ExpectedService, ServiceDeployment

STABILITY_MARGIN_SECONDS = 15.0
MAX_STABILITY_WATCH_SECONDS = 180.0
"""New tasks must outlive the failed ones by the margin; the failure of a task older than the maximum is unrelated to
the rollout."""


def has_health_check(aws: ClientFactory, service: ExpectedService, deployment: ServiceDeployment) -> bool:
    """Whether ECS checks the health of the deployment's tasks, by a load balancer or an essential container's check."""
    if deployment.load_balancers or rollout.describe_service(aws, service).get("loadBalancers"):
        return True
    return _has_container_check(aws, deployment.task_definition)


def count_serving_tasks(aws: ClientFactory, service: ExpectedService) -> int:
    """Returns the number of tasks that run and pass their checks, the containers' and the load balancer's.

    A task that nothing checks counts as soon as it runs.
    """
    serving = [
        task
        for task in rollout.list_current_tasks(aws, service)
        if (task["lastStatus"], task["desiredStatus"]) == ("RUNNING", "RUNNING")
    ]
    if _has_container_check(aws, service.task_definition):
        serving = [task for task in serving if task.get("healthStatus") == "HEALTHY"]
    for target in rollout.describe_service(aws, service).get("loadBalancers") or []:
        if target.get("targetGroupArn"):
            described = aws.client("elbv2").describe_target_health(TargetGroupArn=target["targetGroupArn"])
            targets = described["TargetHealthDescriptions"]
            healthy = {each["Target"]["Id"] for each in targets if each["TargetHealth"]["State"] == "healthy"}
            serving = [task for task in serving if healthy.intersection(rollout.task_addresses(task))]
    return len(serving)


def _has_container_check(aws: ClientFactory, task_definition: str) -> bool:
    described = aws.client("ecs").describe_task_definition(taskDefinition=task_definition)["taskDefinition"]
    containers = described["containerDefinitions"]
    return any(each.get("healthCheck") and each.get("essential", True) for each in containers)


def find_unsettled_task(
    aws: ClientFactory, service: ExpectedService, deployment: ServiceDeployment, say: ProgressReporter, clock: Clock
) -> Any:
    """Watches a service without a health check until its tasks are `settle_seconds` old.

    Returns a task of the deployment that failed before that age; None if there is none.
    """

    def failed_young() -> Any:
        failed = rollout.list_failed_tasks(aws, service, deployment)
        return next((task for task in failed if 0 <= _age_at_stop(task) < service.settle_seconds), None)

    remaining = retry_reads(lambda: _seconds_to_settle(aws, service, deployment), say, clock)
    if remaining > 0:
        say(f"{service.name} has no health check: watching its tasks for {remaining:.0f} s (settleSeconds).")
    deadline = clock.now() + remaining
    is_recent = remaining > 0
    while is_recent:
        failed = retry_reads(failed_young, say, clock)
        if failed or clock.now() >= deadline:
            return failed
        clock.sleep(rollout.POLL_SECONDS)
    return None


def find_unstable_task(
    aws: ClientFactory, service: ExpectedService, deployment: ServiceDeployment, say: ProgressReporter, clock: Clock
) -> Any:
    """If tasks of the deployment failed young, watches whether another one does.

    ECS's circuit breaker counts consecutive failures, and not tasks that are healthy at first and fail later.
    Returns the task that failed during the watch; None if there is none.
    """

    def list_failed_young() -> list[Any]:
        failed = rollout.list_failed_tasks(aws, service, deployment)
        return [task for task in failed if _age_at_stop(task) <= MAX_STABILITY_WATCH_SECONDS]

    failed = retry_reads(list_failed_young, say, clock)
    if not failed:
        return None
    longest = max(_age_at_stop(task) for task in failed)
    seconds = min(max(longest, 0.0) + STABILITY_MARGIN_SECONDS, MAX_STABILITY_WATCH_SECONDS)
    say(f"{service.name}: {len(failed)} of its new tasks failed. Watching for {seconds:.0f} s whether another does.")
    known_arns = {task["taskArn"] for task in failed}
    deadline = clock.now() + seconds
    while True:
        failed = retry_reads(list_failed_young, say, clock)
        another = next((task for task in failed if task["taskArn"] not in known_arns), None)
        if another or clock.now() > deadline:
            return another
        clock.sleep(rollout.POLL_SECONDS)


def has_just_ended(aws: ClientFactory, service: ExpectedService, deployment: ServiceDeployment) -> bool:
    """Whether a deployment ended so recently that no command may have watched its tasks yet; uses AWS's clock only."""
    now = _server_time(aws.client("ecs").describe_services(cluster=service.cluster, services=[service.name]))
    if now is None or deployment.seconds is None:
        return False
    return now.timestamp() - (deployment.created + deployment.seconds) <= MAX_STABILITY_WATCH_SECONDS


def _seconds_to_settle(aws: ClientFactory, service: ExpectedService, deployment: ServiceDeployment) -> float:
    """Returns the seconds until the deployment's youngest task is `settle_seconds` old; uses AWS's clock only."""
    response = aws.client("ecs").describe_services(cluster=service.cluster, services=[service.name])
    now = _server_time(response)
    if now is None:
        return service.settle_seconds
    starts = [
        task["startedAt"]
        for task in rollout.list_current_tasks(aws, service)
        if rollout.is_task_of_deployment(task, deployment) and "startedAt" in task
    ]
    ages = [(now - start).total_seconds() for start in starts]
    return min(service.settle_seconds, service.settle_seconds - min(ages, default=0.0))


def _server_time(response: Any) -> datetime | None:
    """Returns AWS's time from a response header; None if it has none."""
    header = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None


def _age_at_stop(task: Any) -> float:
    """Returns the seconds that a stopped task ran; -1 if it never started."""
    return float((task["stoppedAt"] - task["startedAt"]).total_seconds()) if "startedAt" in task else -1.0
