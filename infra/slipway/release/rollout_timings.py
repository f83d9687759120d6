"""Measures the phases of a rollout with AWS's timestamps."""

from __future__ import annotations

from typing import Any

from slipway.release import rollout
from slipway.release.aws_session import ClientFactory
from slipway.release.rollout import ExpectedService, ServiceDeployment

TASK_PHASES = (("placed", "createdAt", "pullStartedAt"), ("pulled", "pullStartedAt", "pullStoppedAt"))


def measure_rollout_phases(
    aws: ClientFactory, service: ExpectedService, deployment: ServiceDeployment
) -> dict[str, float]:
    """Returns phase -> seconds: placed, pulled and started for the slowest task, then until completion."""
    tasks = [
        task
        for task in rollout.list_current_tasks(aws, service)
        if rollout.is_task_of_deployment(task, deployment) and "startedAt" in task
    ]
    phases: dict[str, float] = {}
    if tasks:
        slowest = max(tasks, key=lambda task: task["startedAt"] - task["createdAt"])
        for name, since, until in (*TASK_PHASES, ("started", "pullStoppedAt", "startedAt")):
            if since in slowest and until in slowest:
                phases[name] = _seconds_between(slowest[since], slowest[until])
    if deployment.seconds is not None:
        phases["healthy, and the old ones drained"] = max(0.0, deployment.seconds - sum(phases.values()))
        phases["complete"] = deployment.seconds
    return phases


def format_phases(phases: dict[str, float]) -> str:
    """Returns `placed 12 s, pulled 9 s, started 3 s, ... complete 71 s`."""
    return ", ".join(f"{name} {seconds:.0f} s" for name, seconds in phases.items())


def _seconds_between(since: Any, until: Any) -> float:
    return float((until - since).total_seconds())
