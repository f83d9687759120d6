"""Task scale-in protection: a task that works asks not to be stopped by a deployment or a scale-in.

ECS has two calls for it, and its agent an endpoint in each task (`ECS_AGENT_URI`), by which a task speaks of itself.
What else stops a task still does: a failed health check, somebody's StopTask, the end of its service.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

from ministack.services import ecs

from infra.local.emulator.asgi import App, body_of
from infra.local.emulator.ecs.tasks import Task, runs
from infra.local.emulator.host import AGENT

STATE = "/task-protection/v1/state"
DEFAULT_MINUTES, MOST_MINUTES = 120, 2880
NOT_VALID = ("TASK_NOT_VALID", "The specified task is not running, or is of no service.")


def protected(task: Task) -> bool:
    """Whether neither a deployment nor a scale-in may stop a task now."""
    return bool(task.get("_protected_until", 0) > time.time())


def through_agent(app: App) -> App:
    """An ASGI application that answers as the agent of each task, and leaves the rest to `app`."""

    async def gate(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(AGENT):
            await app(scope, receive, send)
            return
        body = await body_of(receive)
        task_id, _, _ = scope["path"].removeprefix(AGENT).partition("/")
        known = scope["path"] == f"{AGENT}{task_id}{STATE}" and scope["method"] in ("GET", "PUT")
        status, answer = _agent(task_id, json.loads(body or "{}")) if known else (404, {"error": {"Code": "NotFound"}})
        head = {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        await send(head)
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    return gate


def _agent(task_id: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    task = next((run.task for run in list(runs.values()) if run.id == task_id), None)
    minutes = asked.get("ExpiresInMinutes", DEFAULT_MINUTES)
    if not isinstance(minutes, int) or not 1 <= minutes <= MOST_MINUTES:
        wrong = f"ExpiresInMinutes: 1 to {MOST_MINUTES}"
        return 400, {"error": {"Code": "InvalidParameterException", "Message": wrong}}
    if task is None or not _may_be(task):
        return 200, {"failure": {"Arn": task and task["taskArn"], "Reason": NOT_VALID[0], "Detail": NOT_VALID[1]}}
    if "ProtectionEnabled" in asked:
        _protect(task, bool(asked["ProtectionEnabled"]), minutes)
    until = {"ExpirationDate": datetime.fromtimestamp(task.get("_protected_until", 0), UTC).isoformat()}
    state = {"ProtectionEnabled": protected(task), "TaskArn": task["taskArn"]}
    return 200, {"protection": state | (until if protected(task) else {})}


def update(data: dict[str, Any]) -> Any:
    """UpdateTaskProtection."""
    minutes = int(data.get("expiresInMinutes") or DEFAULT_MINUTES)
    if not 1 <= minutes <= MOST_MINUTES:
        return ecs.error_response_json("InvalidParameterException", f"expiresInMinutes: 1 to {MOST_MINUTES}", 400)
    for task in _tasks(data):
        if _may_be(task):
            _protect(task, bool(data["protectionEnabled"]), minutes)
    return get(data)


def get(data: dict[str, Any]) -> Any:
    """GetTaskProtection."""
    found = [task for task in _tasks(data) if _may_be(task)]
    states = [
        {"taskArn": task["taskArn"], "protectionEnabled": protected(task)}
        | ({"expirationDate": task["_protected_until"]} if protected(task) else {})
        for task in found
    ]
    known = {task["taskArn"] for task in found}
    failures = [
        {"arn": name, "reason": NOT_VALID[0], "detail": NOT_VALID[1]}
        for name in data.get("tasks") or []
        if not any(arn == name or arn.endswith(f"/{name}") for arn in known)
    ]
    return ecs.json_response({"protectedTasks": states, "failures": failures})


def _tasks(data: dict[str, Any]) -> list[Task]:
    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    found = (ecs._resolve_task(name, cluster) for name in data.get("tasks") or [])
    return [task for task in found if task]


def _may_be(task: Task) -> bool:
    return task["desiredStatus"] == "RUNNING" and str(task.get("group", "")).startswith("service:")


def _protect(task: Task, enabled: bool, minutes: int) -> None:
    task["_protected_until"] = time.time() + minutes * 60 if enabled else 0
