"""Task scale-in protection: a task that works asks not to be stopped by a deployment or a scale-in.

ECS has two calls for it, and its agent an endpoint in each task (`ECS_AGENT_URI`), by which a task speaks of itself.
Other causes still stop a task: a failed health check, a StopTask call, the deletion of its service.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

from ministack.services import ecs

from slipway_local.emulator.asgi import AsgiApp, read_body
from slipway_local.emulator.docker_host import AGENT_PATH
from slipway_local.emulator.ecs.tasks import Task, TaskRun, task_runs

PROTECTION_STATE_PATH = "/task-protection/v1/state"
DEFAULT_MINUTES = 120
MAX_MINUTES = 2880
TASK_NOT_VALID = ("TASK_NOT_VALID", "The specified task is not running, or is of no service.")


def is_protected(task: Task) -> bool:
    """Returns whether neither a deployment nor a scale-in may stop a task now."""
    return bool(task.get("_protected_until", 0) > time.time())


def add_ecs_agent_endpoint(app: AsgiApp) -> AsgiApp:
    """Returns an ASGI application that answers as the agent of each task, and leaves the rest to `app`."""

    async def gate(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(AGENT_PATH):
            await app(scope, receive, send)
            return
        body = await read_body(receive)
        task_id, _, _ = scope["path"].removeprefix(AGENT_PATH).partition("/")
        is_known_path = scope["path"] == f"{AGENT_PATH}{task_id}{PROTECTION_STATE_PATH}" and scope["method"] in (
            "GET",
            "PUT",
        )
        status, answer = (
            _handle_agent_request(task_id, json.loads(body or "{}"))
            if is_known_path
            else (404, {"error": {"Code": "NotFound"}})
        )
        response_start = {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"application/json")],
        }
        await send(response_start)
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    return gate


def _handle_agent_request(task_id: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    run = next((run for run in list(task_runs.values()) if run.id == task_id), None)
    task = run.task if run else None
    minutes = request.get("ExpiresInMinutes", DEFAULT_MINUTES)
    if not isinstance(minutes, int) or not 1 <= minutes <= MAX_MINUTES:
        message = f"ExpiresInMinutes: 1 to {MAX_MINUTES}"
        return 400, {"error": {"Code": "InvalidParameterException", "Message": message}}
    if task is None or not _is_protectable(task):
        return 200, {
            "failure": {"Arn": task and task["taskArn"], "Reason": TASK_NOT_VALID[0], "Detail": TASK_NOT_VALID[1]}
        }
    denial = _task_role_denial(run, request) if run else None
    if denial:
        return 400, {"error": {"Arn": task["taskArn"], "Code": "AccessDeniedException", "Message": denial}}
    if "ProtectionEnabled" in request:
        _set_protection(task, bool(request["ProtectionEnabled"]), minutes)
    expiration = {"ExpirationDate": datetime.fromtimestamp(task.get("_protected_until", 0), UTC).isoformat()}
    state = {"ProtectionEnabled": is_protected(task), "TaskArn": task["taskArn"]}
    return 200, {"protection": state | (expiration if is_protected(task) else {})}


def _task_role_denial(run: TaskRun, request: dict[str, Any]) -> str | None:
    """Returns why the agent may not make the call with the task's role, as ECS's agent does; None where it may."""
    params = {"cluster": run.task["clusterArn"], "tasks": [run.task["taskArn"]]}
    if "ProtectionEnabled" not in request:
        return run.roles.task_role_denial("ecs", "GetTaskProtection", params)
    params |= {"protectionEnabled": bool(request["ProtectionEnabled"])}
    return run.roles.task_role_denial("ecs", "UpdateTaskProtection", params)


def update_task_protection(data: dict[str, Any]) -> Any:
    """UpdateTaskProtection."""
    minutes = int(data.get("expiresInMinutes") or DEFAULT_MINUTES)
    if not 1 <= minutes <= MAX_MINUTES:
        return ecs.error_response_json("InvalidParameterException", f"expiresInMinutes: 1 to {MAX_MINUTES}", 400)
    for task in _find_tasks(data):
        if _is_protectable(task):
            _set_protection(task, bool(data["protectionEnabled"]), minutes)
    return get_task_protection(data)


def get_task_protection(data: dict[str, Any]) -> Any:
    """GetTaskProtection."""
    protectable = [task for task in _find_tasks(data) if _is_protectable(task)]
    states = [
        {"taskArn": task["taskArn"], "protectionEnabled": is_protected(task)}
        | ({"expirationDate": task["_protected_until"]} if is_protected(task) else {})
        for task in protectable
    ]
    protectable_arns = {task["taskArn"] for task in protectable}
    failures = [
        {"arn": name, "reason": TASK_NOT_VALID[0], "detail": TASK_NOT_VALID[1]}
        for name in data.get("tasks") or []
        if not any(arn == name or arn.endswith(f"/{name}") for arn in protectable_arns)
    ]
    return ecs.json_response({"protectedTasks": states, "failures": failures})


def _find_tasks(data: dict[str, Any]) -> list[Task]:
    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    resolved = (ecs._resolve_task(name, cluster) for name in data.get("tasks") or [])
    return [task for task in resolved if task]


def _is_protectable(task: Task) -> bool:
    return task["desiredStatus"] == "RUNNING" and str(task.get("group", "")).startswith("service:")


def _set_protection(task: Task, enabled: bool, minutes: int) -> None:
    task["_protected_until"] = time.time() + minutes * 60 if enabled else 0
