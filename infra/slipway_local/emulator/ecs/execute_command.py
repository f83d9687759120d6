"""ECS Exec: the agent in a container, as DescribeTasks shows it, and ExecuteCommand.

On AWS a session runs over a data channel of Systems Manager. Here its address names the container, and the client runs
the command in it with `docker exec`, as root, which is AWS's agent too.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ministack.services import ecs

from slipway_local.emulator.ecs.task_record import find_container_definition
from slipway_local.emulator.ecs.task_roles import TaskRoles

AGENT = "ExecuteCommandAgent"
STREAM_SCHEME = "docker-exec"
AGENT_ACTIONS = ("CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel")
WRITABLE_PATHS = ("/managed-agents", "/var/lib/amazon", "/var/log/amazon")
"""Folders that the agent writes to: with a read-only root file system each has to be, or be in, a volume."""


def agent_record(container: Mapping[str, Any], roles: TaskRoles) -> dict[str, Any]:
    """Returns how the agent of a container that was just started is: RUNNING, or STOPPED with the reason."""
    reason = _agent_failure(container, roles)
    record = {"name": AGENT, "lastStatus": "STOPPED" if reason else "RUNNING", "lastStartedAt": time.time()}
    return record | ({"reason": reason} if reason else {})


def execute_command(data: dict[str, Any]) -> Any:
    """Answers ExecuteCommand with a session, or with AWS's errors."""
    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    if cluster is None:
        return _error("ClusterNotFoundException", "Cluster not found.")
    task = ecs._resolve_task(data.get("task", ""), cluster)
    if not task:
        return _error("InvalidParameterException", "The referenced task was not found.")
    if not data.get("interactive") or not data.get("command"):
        return _error("InvalidParameterException", "Interactive is the only mode supported currently.")
    if not task.get("enableExecuteCommand"):
        return _error(
            "InvalidParameterException",
            "The execute command failed because execute command was not enabled when the task was run or the execute "
            "command agent isn't running. Wait and try again or run a new task with execute command enabled and try "
            "again.",
        )
    names = [record["name"] for record in task["containers"]]
    name = data.get("container") or (names[0] if len(names) == 1 else "")
    if name not in names:
        return _error("InvalidParameterException", f"Container {name or '(none)'}: the task has {', '.join(names)}.")
    record = next(each for each in task["containers"] if each["name"] == name)
    agents = [agent for agent in record.get("managedAgents") or [] if agent["lastStatus"] == "RUNNING"]
    if task["lastStatus"] != "RUNNING" or record["lastStatus"] != "RUNNING" or not agents:
        return _error(
            "TargetNotConnectedException",
            "The execute command failed due to an internal error. Try again later.",
        )
    session = f"ecs-execute-command-{ecs.new_uuid().replace('-', '')[:17]}"
    return ecs.json_response(
        {
            "clusterArn": task["clusterArn"],
            "taskArn": task["taskArn"],
            "containerArn": record["containerArn"],
            "containerName": name,
            "interactive": True,
            "session": {
                "sessionId": session,
                "streamUrl": f"{STREAM_SCHEME}://{record['runtimeId']}",
                "tokenValue": ecs.new_uuid(),
            },
        }
    )


def set_agent(task: dict[str, Any], task_definition: dict[str, Any], name: str, roles: TaskRoles) -> None:
    """Records the agent of a container that was just started, in a task with ECS Exec."""
    if task.get("enableExecuteCommand"):
        record = next(each for each in task["containers"] if each["name"] == name)
        record["managedAgents"] = [agent_record(find_container_definition(task_definition, name), roles)]


def _agent_failure(container: Mapping[str, Any], roles: TaskRoles) -> str:
    if not roles.task_role_arn:
        return "The task has no task role."
    for name in AGENT_ACTIONS:
        denial = roles.task_role_action_denial(f"ssmmessages:{name}")
        if denial:
            return denial
    mounted = [str(mount["containerPath"]) for mount in container.get("mountPoints") or [] if not mount.get("readOnly")]
    if container.get("readonlyRootFilesystem"):
        for path in WRITABLE_PATHS:
            if not any(path == mount or path.startswith(f"{mount.rstrip('/')}/") for mount in mounted):
                return f"The agent cannot write to {path}: the root file system is read-only."
    return ""


def _error(code: str, message: str) -> Any:
    return ecs.error_response_json(code, message, 400)
