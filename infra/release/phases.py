"""Where the seconds of a rollout went, by AWS's own times."""

from __future__ import annotations

from typing import Any

from infra.release import rollout
from infra.release.client import Clients
from infra.release.rollout import Deployment, Service

STEPS = (("placed", "createdAt", "pullStartedAt"), ("pulled", "pullStartedAt", "pullStoppedAt"))


def phases(aws: Clients, service: Service, deployment: Deployment) -> dict[str, float]:
    """Phase -> seconds: until placed, pulled and started of the task that took longest, then until all was complete."""
    tasks = [task for task in rollout.tasks(aws, service) if rollout.belongs(task, deployment) and "startedAt" in task]
    found: dict[str, float] = {}
    if tasks:
        slowest = max(tasks, key=lambda task: task["startedAt"] - task["createdAt"])
        for name, since, until in (*STEPS, ("started", "pullStoppedAt", "startedAt")):
            if since in slowest and until in slowest:
                found[name] = _between(slowest[since], slowest[until])
    if deployment.seconds is not None:
        found["healthy, and the old ones drained"] = max(0.0, deployment.seconds - sum(found.values()))
        found["complete"] = deployment.seconds
    return found


def told(found: dict[str, float]) -> str:
    """For a person: `placed 12 s, pulled 9 s, started 3 s, ... complete 71 s`."""
    return ", ".join(f"{name} {seconds:.0f} s" for name, seconds in found.items())


def _between(since: Any, until: Any) -> float:
    return float((until - since).total_seconds())
