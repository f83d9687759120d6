"""Explains a failed rollout: the cause, the exceeded limits, the last log lines, and the running tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from slipway.release import rollout
from slipway.release.aws_session import ClientFactory
from slipway.release.deployments import RELEASE_VARIABLE
from slipway.release.logs import read_last_lines
from slipway.release.rollout import ExpectedService, ServiceDeployment

SIGKILL_EXIT = 137
SIGTERM_EXIT = 143
"""Also reported by ECS for a container that never started because one that it depends on failed."""
DEFAULT_STOP_TIMEOUT_SECONDS = 30
"""Default of ECS's `stopTimeout`."""
UNHEALTHY_EVENT = "is unhealthy in"
"""Part of ECS's events of a target that fails the load balancer's check."""
ELB_CHECK_FAILED = "ELB health checks"
CONTAINER_CHECK_FAILED = "container health checks"
"""Parts of the stop reasons of tasks."""
ESSENTIAL_EXITED = "Essential container in task exited"
"""ECS's reason if a container's exit code says more."""


def explain_failure(aws: ClientFactory, service: ExpectedService, deployment: ServiceDeployment) -> list[str]:
    """Returns lines about one deployment: causes, limits, and the last log lines of a failed task."""
    lines = explain_causes(aws, service, deployment)
    candidates = rollout.list_failed_tasks(aws, service, deployment) or [
        task for task in rollout.list_current_tasks(aws, service) if rollout.is_task_of_deployment(task, deployment)
    ]
    if candidates:
        lines += _log_lines(aws, candidates[0])
    return lines or ["ECS lists no stopped task of this deployment, and gives no reason."]


def describe_trouble(
    aws: ClientFactory, service: ExpectedService, deployment: ServiceDeployment, trouble: str
) -> list[str]:
    """Lines about a rollout under way whose new task does not get healthy, with the last log lines of that task."""
    mine = [
        task for task in rollout.list_current_tasks(aws, service) if rollout.is_task_of_deployment(task, deployment)
    ]
    advice = "ECS keeps trying for minutes; to end it now: Ctrl-C, fix it, and `up` again."
    return [f"{service.name}: {trouble}. {advice}", *(_log_lines(aws, mine[0]) if mine else [])]


def explain_causes(aws: ClientFactory, service: ExpectedService, deployment: ServiceDeployment) -> list[str]:
    """Returns the causes and limits without log lines."""
    stopped = rollout.list_failed_tasks(aws, service, deployment)
    description = rollout.describe_service(aws, service)
    events = _unhealthy_events(description, deployment)
    lines = _unique([*(cause for task in stopped for cause in _causes(task)), *events[:1]])
    if events or any(ELB_CHECK_FAILED in str(task.get("stoppedReason")) for task in stopped):
        lines += _elb_limits(aws, description, deployment)
    return lines + _container_check_limits(aws, stopped)


def find_failed_container(task: Any) -> str:
    """Returns the container that ended a task: the first that has a reason, failed, or was unhealthy."""
    containers = task["containers"]
    tests = (
        lambda container: container.get("reason") and container.get("exitCode") != SIGTERM_EXIT,
        lambda container: container.get("exitCode") not in (None, 0, SIGTERM_EXIT),
        lambda container: container.get("healthStatus") == "UNHEALTHY",
        lambda container: container.get("exitCode") is not None,
    )
    for test in tests:
        failed = next((container for container in containers if test(container)), None)
        if failed:
            return str(failed["name"])
    return str(containers[0]["name"])


def describe_running_tasks(aws: ClientFactory, service: ExpectedService) -> str:
    """Returns the running tasks: `Running now: 2 of shop-web:7 (release 1a2b3c-0123).`"""
    text = _running_tasks_by_release(aws, service)
    return f"Running now: {text}." if text else f"No task of {service.name} is running now."


def describe_siblings(aws: ClientFactory, services: Iterable[ExpectedService]) -> list[str]:
    """Returns a line for each other service of the stack: a failed release may leave them on another release."""
    return [
        f"{service.name} runs {_running_tasks_by_release(aws, service) or 'no task'}; "
        f"this update deploys {definition_name(service.task_definition)}."
        for service in services
    ]


def describe_killed_tasks(aws: ClientFactory, service: ExpectedService, since: float) -> list[str]:
    """Returns a line for each task definition whose tasks ignored SIGTERM, so that ECS killed them. `since`: earliest
    stop time, seconds since 1970 by AWS's clock."""
    killed: dict[tuple[str, str], int] = {}
    for task in rollout.list_stopped_tasks(aws, service):
        if rollout.is_failed_task(task) or task["stoppedAt"].timestamp() < since:
            continue
        for container in task["containers"]:
            if container.get("exitCode") == SIGKILL_EXIT and "OutOfMemory" not in str(container.get("reason")):
                key = (task["taskDefinitionArn"], container["name"])
                killed[key] = killed.get(key, 0) + 1
    return [
        f"{count} task(s) of {definition_name(arn)} were killed (exit code 137): {name} did not end within "
        f"{_stop_timeout(aws, arn, name)} s of SIGTERM (stopTimeout), so requests or jobs in progress were aborted."
        for (arn, name), count in sorted(killed.items())
    ]


def definition_name(arn: str) -> str:
    """Returns `family:revision` of a task definition's ARN."""
    return arn.rsplit("/", 1)[-1]


def read_release(aws: ClientFactory, task_definition: str) -> str:
    """Returns the value of RELEASE in a task definition; empty if no container has it."""
    for container in _container_definitions(aws, task_definition):
        for variable in container.get("environment") or []:
            if variable["name"] == RELEASE_VARIABLE:
                return str(variable["value"])
    return ""


def _running_tasks_by_release(aws: ClientFactory, service: ExpectedService) -> str:
    counts: dict[str, int] = {}
    for task in rollout.list_current_tasks(aws, service):
        if task["lastStatus"] == "RUNNING" and task["desiredStatus"] == "RUNNING":
            counts[task["taskDefinitionArn"]] = counts.get(task["taskDefinitionArn"], 0) + 1
    parts = []
    for arn, count in sorted(counts.items()):
        release = read_release(aws, arn)
        parts.append(f"{count} of {definition_name(arn)}{f' (release {release})' if release else ''}")
    return ", ".join(parts)


def _causes(task: Any) -> list[str]:
    """Returns why a task ended: its failed container's exit, and ECS's reason if that says more."""
    name = find_failed_container(task)
    container = next(candidate for candidate in task["containers"] if candidate["name"] == name)
    causes = []
    if container.get("exitCode") or container.get("reason"):
        reason = f" ({container['reason']})" if container.get("reason") else ""
        ending = f"exited with {container['exitCode']}" if "exitCode" in container else "did not start"
        causes.append(f"{name} {ending}{reason}")
    elif container.get("exitCode") == 0:
        causes.append(f"{name} exited with 0: it ended by itself, and a service must keep running")
    reason = task.get("stoppedReason") or "stopped without a reason"
    if not causes or not reason.startswith(ESSENTIAL_EXITED):
        causes.append(reason)
    return causes


def _unhealthy_events(description: Any, deployment: ServiceDeployment) -> list[str]:
    """Returns ECS's events of failed load balancer checks since the deployment began, the newest first."""
    return [
        event["message"]
        for event in description.get("events", [])
        if event["createdAt"].timestamp() >= deployment.created and UNHEALTHY_EVENT in event["message"]
    ]


def _elb_limits(aws: ClientFactory, description: Any, deployment: ServiceDeployment) -> list[str]:
    """Returns the limits of the load balancer's check for the failed revision."""
    targets = deployment.load_balancers or description.get("loadBalancers") or []
    ports = {target["targetGroupArn"]: target.get("containerPort") for target in targets if "targetGroupArn" in target}
    if not ports:
        return []
    groups = aws.client("elbv2").describe_target_groups(TargetGroupArns=list(ports))["TargetGroups"]
    grace = description.get("healthCheckGracePeriodSeconds") or 0
    return [_elb_limit_line(group, ports[group["TargetGroupArn"]], grace) for group in groups]


def _elb_limit_line(group: Any, container_port: int | None, grace: int) -> str:
    port = group.get("HealthCheckPort", "traffic-port")
    return (
        f"The load balancer requests {group['HealthCheckPath']} on port "
        f"{container_port if port == 'traffic-port' else port} every {group['HealthCheckIntervalSeconds']} s "
        f"(health.interval) and expects {group['Matcher']['HttpCode']} (health.statuses) within "
        f"{group['HealthCheckTimeoutSeconds']} s (health.timeout); {group.get('UnhealthyThresholdCount', 2)} failures "
        f"in a row (health.failures) are unhealthy. ECS ignores them in a task's first {grace} s "
        "(health.startSeconds of stacks/app.yaml): an app that starts more slowly is stopped."
    )


def _container_check_limits(aws: ClientFactory, stopped: Sequence[Any]) -> list[str]:
    """Returns the limits of a failed health check of a container that did not exit by itself before."""
    lines = []
    for task in stopped:
        is_failed_check = CONTAINER_CHECK_FAILED in str(task.get("stoppedReason"))
        unhealthy = {
            each["name"]
            for each in task["containers"]
            if each.get("healthStatus") == "UNHEALTHY" and each.get("exitCode") in (None, SIGTERM_EXIT, SIGKILL_EXIT)
        }
        for container in _container_definitions(aws, task["taskDefinitionArn"]):
            check = container.get("healthCheck")
            if check and (container["name"] in unhealthy or (is_failed_check and not unhealthy)):
                lines.append(_container_check_line(container["name"], check))
    return _unique(lines)


def _container_check_line(name: str, check: Mapping[str, Any]) -> str:
    return (
        f"The check of the container {name} runs every {check.get('interval', 30)} s with {check.get('timeout', 5)} s "
        f"to answer; {check.get('retries', 3)} failures in a row (health.failures) are unhealthy, not counted in the "
        f"first {check.get('startPeriod', 0)} s (health.startSeconds of stacks/app.yaml)."
    )


def _log_lines(aws: ClientFactory, task: Any) -> list[str]:
    name = find_failed_container(task)
    heading = f"The last lines of {name} in task {task['taskArn'].rsplit('/', 1)[-1]}:"
    return [heading, *(f"  {line}" for line in read_last_lines(aws, task, name))]


def _stop_timeout(aws: ClientFactory, task_definition: str, name: str) -> int:
    for container in _container_definitions(aws, task_definition):
        if container["name"] == name:
            return int(container.get("stopTimeout") or DEFAULT_STOP_TIMEOUT_SECONDS)
    return DEFAULT_STOP_TIMEOUT_SECONDS


def _container_definitions(aws: ClientFactory, task_definition: str) -> list[Any]:
    described = aws.client("ecs").describe_task_definition(taskDefinition=task_definition)["taskDefinition"]
    return list(described["containerDefinitions"])


def _unique(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))
