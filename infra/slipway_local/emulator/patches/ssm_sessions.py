"""Systems Manager's sessions: forwarding a port through a task with ECS Exec, which ministack does not know of.

On AWS the tunnel is a data channel to the task's agent. Here its address is the one that the port leads to, and the
client connects to that by itself: the security groups of the task are not asked.
"""

from __future__ import annotations

import json
from typing import Any

from ministack import app
from ministack.services import ecs

from slipway_local.emulator.docker_host import HOST_NAME

TO_TASK = "AWS-StartPortForwardingSession"
TO_REMOTE_HOST = "AWS-StartPortForwardingSessionToRemoteHost"
KIND = {"Content-Type": "application/x-amz-json-1.1"}


def install() -> None:
    """Answers StartSession and TerminateSession in front of ministack's SSM."""
    original = app.SERVICE_HANDLERS["ssm"]

    async def handle_request(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Any:
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action == "StartSession":
            return _start_session(json.loads(body or b"{}"))
        if action == "TerminateSession":
            return _answer({"SessionId": json.loads(body or b"{}").get("SessionId", "")})
        return await original(method, path, headers, body, query)

    app.SERVICE_HANDLERS["ssm"] = handle_request


def _start_session(request: dict[str, Any]) -> Any:
    container = _find_connected_container(str(request.get("Target", "")))
    if container is None:
        return _answer({"__type": "TargetNotConnected", "message": f"{request.get('Target')} is not connected."}, 400)
    parameters = {key: values[0] for key, values in (request.get("Parameters") or {}).items()}
    document = request.get("DocumentName")
    if document == TO_REMOTE_HOST:
        host = parameters["host"]
        address = "127.0.0.1" if host == HOST_NAME else host
    elif document == TO_TASK:
        address = next(each["privateIpv4Address"] for each in container["networkInterfaces"])
    else:
        return _answer({"__type": "InvalidDocument", "message": f"The local AWS has no document {document}."}, 400)
    session = {
        "SessionId": f"slipway-{ecs.new_uuid().replace('-', '')[:17]}",
        "StreamUrl": f"tcp://{address}:{parameters['portNumber']}",
        "TokenValue": ecs.new_uuid(),
    }
    return _answer(session)


def _find_connected_container(target: str) -> dict[str, Any] | None:
    """Returns the container of `ecs:cluster_task_runtimeId` whose agent runs; None where there is none."""
    cluster, _, rest = target.removeprefix("ecs:").partition("_")
    task_id, _, runtime_id = rest.partition("_")
    task = ecs._resolve_task(task_id, cluster) if target.startswith("ecs:") else None
    for record in (task or {}).get("containers", []) if task and task["lastStatus"] == "RUNNING" else []:
        agents = record.get("managedAgents") or []
        if record["runtimeId"] == runtime_id and any(agent["lastStatus"] == "RUNNING" for agent in agents):
            return dict(record)
    return None


def _answer(content: dict[str, Any], status: int = 200) -> Any:
    return status, dict(KIND), json.dumps(content).encode()  # ministack adds the length to it
