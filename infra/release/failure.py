"""Why a rollout failed, what still serves, and what its container wrote at the end."""

from __future__ import annotations

from typing import Any

from infra.release import rollout
from infra.release.client import Clients
from infra.release.logs import last_lines
from infra.release.rollout import Deployment, Service

SIGTERM_EXIT = 143
"""Also what ECS reports for a container that was never started, because the one before it failed."""


def explain(aws: Clients, service: Service, deployment: Deployment) -> list[str]:
    """Lines for a person: the stopped tasks of this deployment, the checks that failed, the last log lines."""
    stopped = rollout.stopped_tasks(aws, service, deployment)
    lines = _once(reason for task in stopped for reason in _reasons(task))
    lines += _once(_unhealthy(aws, service, deployment))
    with_log = stopped or [task for task in rollout.tasks(aws, service) if rollout.belongs(task, deployment)]
    if with_log:
        task = with_log[0]
        name = failing_container(task)
        lines.append(f"The last lines of {name} in task {task['taskArn'].rsplit('/', 1)[-1]}:")
        lines += [f"  {line}" for line in last_lines(aws, task, name)]
    return lines or ["ECS keeps no stopped task of it any more, and gives no reason."]


def failing_container(task: Any) -> str:
    """The name of the container that a task ended for: the first that says why, failed, or was not healthy."""
    containers = task["containers"]
    signs = (
        lambda each: each.get("reason") and each.get("exitCode") != SIGTERM_EXIT,
        lambda each: each.get("exitCode") not in (None, 0, SIGTERM_EXIT),
        lambda each: each.get("healthStatus") == "UNHEALTHY",
        lambda each: each.get("exitCode") is not None,
    )
    for sign in signs:
        found = next((each for each in containers if sign(each)), None)
        if found:
            return str(found["name"])
    return str(containers[0]["name"])


def serving(aws: Clients, service: Service) -> str:
    """What answers now: running tasks by task definition."""
    counts: dict[str, int] = {}
    for task in rollout.tasks(aws, service):
        if task["lastStatus"] == "RUNNING" and task["desiredStatus"] == "RUNNING":
            name = task["taskDefinitionArn"].rsplit("/", 1)[-1]
            counts[name] = counts.get(name, 0) + 1
    told = ", ".join(f"{number} of {name}" for name, number in sorted(counts.items()))
    return f"Running now: {told}." if told else "Nothing of it is running now."


def _reasons(task: Any) -> list[str]:
    found = [task.get("stoppedReason") or "stopped without a reason"]
    for each in task["containers"]:
        if each.get("exitCode") or each.get("reason"):
            why = f" ({each['reason']})" if each.get("reason") else ""
            code = f"exited with {each['exitCode']}" if "exitCode" in each else "did not start"
            found.append(f"{each['name']} {code}{why}")
    return found


def _unhealthy(aws: Clients, service: Service, deployment: Deployment) -> list[str]:
    """ECS's own events of the checks that failed since the deployment began, and the path that was asked for."""
    (found,) = aws.client("ecs").describe_services(cluster=service.cluster, services=[service.name])["services"]
    events = [
        event["message"]
        for event in found.get("events", [])
        if event["createdAt"].timestamp() >= deployment.created and "is unhealthy in" in event["message"]
    ]
    if not events:
        return []
    arns = [each["targetGroupArn"] for each in found.get("loadBalancers", [])]
    groups = aws.client("elbv2").describe_target_groups(TargetGroupArns=arns)["TargetGroups"] if arns else []
    checks = [
        f"The load balancer asks for {group['HealthCheckPath']} every {group['HealthCheckIntervalSeconds']} s, "
        f"and wants {group['Matcher']['HttpCode']} within {group['HealthCheckTimeoutSeconds']} s."
        for group in groups
    ]
    return [events[0], *checks]


def _once(lines: Any) -> list[str]:
    return list(dict.fromkeys(lines))
