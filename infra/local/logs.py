"""Showing the logs of what runs locally."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import Any

from infra.errors import SlipwayError
from infra.local import engine
from infra.local.emulator import process as emulator
from infra.local.paths import run_dir
from infra.local.session import Session, open_session
from infra.local.status import client
from infra.release.rollout import fell

FILES = {"emulator": "emulator.log", "docker": "dockerd.log"}
POLL_SECONDS = 1.0


def show(name: str, *, lines: int, follow: bool) -> None:
    """Print the last lines of the log file of one of FILES, and go on when asked."""
    path = run_dir() / "log" / FILES[name]
    if not path.exists():
        raise SlipwayError(f"{path} does not exist: that server was not started here.", "make up")
    with path.open(errors="replace") as log:
        sys.stdout.writelines(deque(log, maxlen=lines))
        while follow:
            sys.stdout.write(log.read())
            sys.stdout.flush()
            time.sleep(POLL_SECONDS)


def last_words(lines: int) -> list[str]:
    """Why the stack does not serve, and what its failed tasks wrote last; empty when it does.

    A rollout that failed has outputs too: what it left are logs that nobody writes to any more.
    Raises `SlipwayError` where nothing is deployed.
    """
    session = open_session()
    running = emulator.running()
    outputs = engine.outputs() if running else {}
    if outputs.get("logGroups") and _serving(session, outputs):
        return []
    failed = _failed_tasks(session) if running else []
    if not failed and not outputs.get("logGroups"):
        raise SlipwayError("Nothing is deployed, so the app has no log.", "make up")
    return [line for task in failed for line in _last_words(session, task, lines)]


def _serving(session: Session, outputs: dict[str, Any]) -> bool:
    """Whether a task of the web service is healthy: one that crashes is started again, and may run just now."""
    ecs, cluster = client(session, "ecs"), outputs.get("cluster")
    service = (outputs.get("services") or {}).get("web")
    arns = ecs.list_tasks(cluster=cluster, serviceName=service)["taskArns"] if service else []
    tasks = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
    return any(task.get("healthStatus") == "HEALTHY" for task in tasks)


def _failed_tasks(session: Session) -> list[dict[str, Any]]:
    """The tasks that ended by themselves or by a failed check, oldest first."""
    ecs = client(session, "ecs")
    found: list[dict[str, Any]] = []
    for cluster in ecs.list_clusters()["clusterArns"]:
        arns = ecs.list_tasks(cluster=cluster, desiredStatus="STOPPED")["taskArns"]
        found += ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
    return sorted((task for task in found if _failed(task)), key=lambda task: str(task.get("stoppedAt")))


def _failed(task: dict[str, Any]) -> bool:
    """Not one that somebody or a deployment stopped, nor a one-off task that did what it had to."""
    ended_by_itself = task.get("stopCode") == "EssentialContainerExited"
    return fell(task) and not (ended_by_itself and all(c.get("exitCode") == 0 for c in task["containers"]))


def _last_words(session: Session, task: dict[str, Any], lines: int) -> list[str]:
    """Why a task stopped, and what its containers wrote last."""
    id = task["taskArn"].rsplit("/", 1)[-1]
    definition = client(session, "ecs").describe_task_definition(taskDefinition=task["taskDefinitionArn"])
    about = definition["taskDefinition"]
    told = [f"--- task {id} of {about['family']} stopped: {task.get('stoppedReason') or 'no reason given'}"]
    exits = {container["name"]: container.get("exitCode") for container in task["containers"]}
    for container in about["containerDefinitions"]:
        told.append(f"    container {container['name']}, exit code {exits.get(container['name'])}:")
        options = (container.get("logConfiguration") or {}).get("options") or {}
        told += _stream(session, options, f"{container['name']}/{id}", lines) or ["(it wrote no log)"]
    return told


def _stream(session: Session, options: dict[str, str], name: str, lines: int) -> list[str]:
    logs = client(session, "logs")
    stream = f"{options.get('awslogs-stream-prefix', '')}/{name}"
    try:
        events = logs.get_log_events(
            logGroupName=options.get("awslogs-group", ""), logStreamName=stream, limit=lines, startFromHead=False
        )["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [event["message"].rstrip("\n") for event in events]
