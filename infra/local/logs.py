"""Showing the logs of what runs locally."""

from __future__ import annotations

import contextlib
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


def show(what: str, *, lines: int, follow: bool) -> None:
    """Print the last lines of the app's log group or of a server's log file, and go on when asked."""
    if what == "app":
        _app(lines, follow)
    elif what in FILES:
        _file(FILES[what], lines, follow)
    else:
        raise SlipwayError(f"There is no log of {what!r}.", f"Logs: app, {', '.join(FILES)}")


def _file(name: str, lines: int, follow: bool) -> None:
    path = run_dir() / "log" / name
    if not path.exists():
        raise SlipwayError(f"{path} does not exist: that server was not started here.", "make up")
    with path.open(errors="replace") as log:
        sys.stdout.writelines(deque(log, maxlen=lines))
        with contextlib.suppress(KeyboardInterrupt):
            while follow:
                sys.stdout.write(log.read())
                sys.stdout.flush()
                time.sleep(POLL_SECONDS)


def _app(lines: int, follow: bool) -> None:
    session = open_session()
    outputs = engine.outputs(session) if emulator.running() else {}
    group = (outputs.get("logGroups") or {}).get("web")
    # A rollout that failed has outputs too: what it left is a log that nobody writes to any more, and why it ended.
    if not (group and _serving(session, outputs)):
        failed = _failed_tasks(session) if emulator.running() else []
        for task in failed:
            sys.stdout.write("\n".join(_last_words(session, task, lines)) + "\n")
        if failed:
            return
        if not group:
            raise SlipwayError("Nothing is deployed, so the app has no log.", "make up")
    logs = client(session, "logs")

    def since(start: int) -> list[tuple[int, str]]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=start)
        return sorted((event["timestamp"], event["message"]) for page in pages for event in page["events"])

    events = since(0)[-lines:]
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            sys.stdout.writelines(message.rstrip("\n") + "\n" for _, message in events)
            sys.stdout.flush()
            if not follow:
                return
            newest = events[-1][0] + 1 if events else 0
            time.sleep(POLL_SECONDS)
            events = since(newest)


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
