"""Showing the logs of what runs locally."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import Any

from slipway.config.errors import SlipwayError
from slipway.config.project import run_dir
from slipway.release.rollout import is_failed_task
from slipway_local import local_stack
from slipway_local.emulator import process as emulator
from slipway_local.session import Session, open_session
from slipway_local.status import aws_client

LOG_FILES = {"emulator": "emulator.log", "docker": "dockerd.log"}
POLL_SECONDS = 1.0


def print_log_file(name: str, *, lines: int, follow: bool) -> None:
    """Prints the last lines of one of the log FILES, and follows it if asked."""
    path = run_dir() / "log" / LOG_FILES[name]
    if not path.exists():
        raise SlipwayError(f"{path} does not exist: that server was not started here.", "slipway up")
    with path.open(errors="replace") as log:
        sys.stdout.writelines(deque(log, maxlen=lines))
        while follow:
            sys.stdout.write(log.read())
            sys.stdout.flush()
            time.sleep(POLL_SECONDS)


def read_failure_logs(lines: int) -> list[str]:
    """Returns why the stack does not serve, and what its failed tasks wrote last; empty when it does.

    A failed rollout has outputs too: its logs get no more lines.
    Raises `SlipwayError` where nothing is deployed.
    """
    session = open_session(ignore_default_port=True)
    running = emulator.find_running_emulator()
    outputs = local_stack.read_outputs() if running else {}
    if outputs.get("logGroups") and _is_serving(session, outputs):
        return []
    failed_tasks = _failed_tasks(session) if running else []
    if not failed_tasks and not outputs.get("logGroups"):
        raise SlipwayError("Nothing is deployed, so the app has no log.", "slipway up")
    return [line for task in failed_tasks for line in _read_task_logs(session, task, lines)]


def _is_serving(session: Session, outputs: dict[str, Any]) -> bool:
    """Returns whether a task of the web service is healthy: one that crashes is started again, and may run just now."""
    ecs = aws_client(session, "ecs")
    cluster = outputs.get("cluster")
    service = (outputs.get("services") or {}).get("web")
    arns = ecs.list_tasks(cluster=cluster, serviceName=service)["taskArns"] if service else []
    tasks = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
    return any(task.get("healthStatus") == "HEALTHY" for task in tasks)


def _failed_tasks(session: Session) -> list[dict[str, Any]]:
    """Returns the tasks that ended by themselves or by a failed check, oldest first."""
    ecs = aws_client(session, "ecs")
    tasks: list[dict[str, Any]] = []
    for cluster in ecs.list_clusters()["clusterArns"]:
        arns = ecs.list_tasks(cluster=cluster, desiredStatus="STOPPED")["taskArns"]
        tasks += ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
    return sorted((task for task in tasks if _has_failed(task)), key=lambda task: str(task.get("stoppedAt")))


def _has_failed(task: dict[str, Any]) -> bool:
    """Whether a task failed: it was not stopped, and is not a standalone task that exited with 0."""
    ended_by_itself = task.get("stopCode") == "EssentialContainerExited"
    return is_failed_task(task) and not (ended_by_itself and all(c.get("exitCode") == 0 for c in task["containers"]))


def _read_task_logs(session: Session, task: dict[str, Any], lines: int) -> list[str]:
    """Returns why a task stopped, and what its containers wrote last."""
    id = task["taskArn"].rsplit("/", 1)[-1]
    definition = aws_client(session, "ecs").describe_task_definition(taskDefinition=task["taskDefinitionArn"])
    task_definition = definition["taskDefinition"]
    lines_of_task = [
        f"--- task {id} of {task_definition['family']} stopped: {task.get('stoppedReason') or 'no reason given'}"
    ]
    exit_codes = {container["name"]: container.get("exitCode") for container in task["containers"]}
    for container in task_definition["containerDefinitions"]:
        lines_of_task.append(f"    container {container['name']}, exit code {exit_codes.get(container['name'])}:")
        options = (container.get("logConfiguration") or {}).get("options") or {}
        lines_of_task += _read_log_stream(session, options, f"{container['name']}/{id}", lines) or ["(it wrote no log)"]
    return lines_of_task


def _read_log_stream(session: Session, options: dict[str, str], name: str, lines: int) -> list[str]:
    logs = aws_client(session, "logs")
    stream = f"{options.get('awslogs-stream-prefix', '')}/{name}"
    try:
        events = logs.get_log_events(
            logGroupName=options.get("awslogs-group", ""), logStreamName=stream, limit=lines, startFromHead=False
        )["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [event["message"].rstrip("\n") for event in events]
