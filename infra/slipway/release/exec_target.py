"""Finds the running task and container that ECS Exec can reach: for `slipway exec` and `slipway connect`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slipway.config.errors import SlipwayError
from slipway.release.aws_errors import aws_errors_as_slipway_errors
from slipway.release.deployed_stack import DeployedStack
from slipway.release.standalone_task import own_containers

AGENT = "ExecuteCommandAgent"
MAX_DESCRIBED_TASKS = 100
"""DescribeTasks takes no more at once."""


@dataclass(frozen=True)
class ExecTarget:
    """A container whose ECS Exec agent runs."""

    task: str
    """ARN."""
    container: str
    runtime_id: str

    @property
    def task_id(self) -> str:
        """The last part of the ARN."""
        return self.task.rpartition("/")[2]

    @property
    def ssm_target(self) -> str:
        """Systems Manager's name of the container."""
        cluster = self.task.split("/")[1]
        return f"ecs:{cluster}_{self.task_id}_{self.runtime_id}"


def require_exec(stack: DeployedStack) -> None:
    """Raises `SlipwayError` where ECS Exec is off in a stack."""
    if stack.outputs.get("exec"):
        return
    if "exec" not in stack.outputs:
        raise SlipwayError(
            f"{stack.name} was deployed by a slipway-kit that had no ECS Exec.", f"pulumi up --stack {stack.name}"
        )
    raise SlipwayError(
        f"ECS Exec is off in {stack.name}: it is on in tier dev, or where the stack file says exec: true.",
        f"pulumi config set exec true --stack {stack.name} && pulumi up --stack {stack.name}, which replaces its tasks",
    )


def find_exec_target(stack: DeployedStack, process: str = "", task: str = "") -> ExecTarget:
    """Returns the newest running task of a process, of the healthy ones if there are any; or the one whose id begins
    with `task`.

    `process`: empty for `web`, or the only service; in a preview any container of its task.
    Raises `SlipwayError` for a process that does not exist, where none of its tasks runs, and where no agent does.
    """
    require_exec(stack)
    service, container = ("", process) if task else _find_service(stack, process)
    with aws_errors_as_slipway_errors():
        running = _list_running_tasks(stack, service, task)
    if not running:
        where = f"with an id that begins with {task}" if task else f"of {process or container}"
        raise SlipwayError(
            f"No task {where} is running in {stack.name}.",
            f"slipway deployments {stack.name} says how the last rollout ended; slipway logs {stack.name} why.",
        )
    if task and len(running) > 1:
        ids = ", ".join(each["taskArn"].rpartition("/")[2] for each in running)
        raise SlipwayError(f"Several tasks have an id that begins with {task}: {ids}.", "Give more of its letters.")
    for each in running:
        for record in own_containers(each):
            if record["name"] == (container or record["name"]) and _agent_status(record) == "RUNNING":
                return ExecTarget(each["taskArn"], record["name"], record["runtimeId"])
    raise _no_agent(stack, running[0], container)


def is_task_running(stack: DeployedStack, task: str) -> bool:
    """Returns whether a task (ARN) runs."""
    described = stack.aws.client("ecs").describe_tasks(cluster=stack.cluster, tasks=[task])["tasks"]
    return bool(described) and described[0]["lastStatus"] == "RUNNING"


def _find_service(stack: DeployedStack, process: str) -> tuple[str, str]:
    """Returns a process's service and container. All processes of a preview are in one service."""
    name = process or stack.default_process
    if name in stack.services:
        return stack.services[name], name
    if "preview" in stack.outputs and name in stack.outputs["logGroups"] and name != "release":
        return next(iter(stack.services.values())), name
    started = stack.outputs.get("tasks") or {}
    if name in started:
        raise SlipwayError(
            f"{name} runs only now and then.", f"slipway run {stack.name} {name}; a running one: --task ID"
        )
    raise SlipwayError(
        f"There is no process {name} in {stack.name}.", f"There are {', '.join(stack.services) or 'none'}."
    )


def _list_running_tasks(stack: DeployedStack, service: str, task: str) -> list[Any]:
    """Returns the running tasks of a service, or of the cluster those whose id begins with `task`.

    The healthy ones first, then the newest: one that has just started does not listen yet.
    """
    ecs = stack.aws.client("ecs")
    of_service = {"serviceName": service} if service else {}
    pages = ecs.get_paginator("list_tasks").paginate(cluster=stack.cluster, desiredStatus="RUNNING", **of_service)
    arns = [arn for page in pages for arn in page["taskArns"] if arn.rpartition("/")[2].startswith(task)]
    tasks: list[Any] = []
    for first in range(0, len(arns), MAX_DESCRIBED_TASKS):
        part: Sequence[str] = arns[first : first + MAX_DESCRIBED_TASKS]
        tasks += ecs.describe_tasks(cluster=stack.cluster, tasks=part)["tasks"]
    running = [each for each in tasks if each["lastStatus"] == "RUNNING"]
    return sorted(running, key=lambda each: (each.get("healthStatus") == "HEALTHY", each["startedAt"]), reverse=True)


def _agent_status(container: Any) -> str:
    agents = container.get("managedAgents") or []
    return next((str(agent["lastStatus"]) for agent in agents if agent["name"] == AGENT), "")


def _no_agent(stack: DeployedStack, task: Any, container: str) -> SlipwayError:
    task_id = task["taskArn"].rpartition("/")[2]
    names = [each["name"] for each in own_containers(task)]
    if container and container not in names:
        return SlipwayError(f"The task {task_id} has no container {container}.", f"It has {', '.join(names)}.")
    if not task.get("enableExecuteCommand"):
        return SlipwayError(
            f"The task {task_id} was started while ECS Exec was off.",
            f"The next deployment of its service replaces it; until then: slipway run {stack.name} -- COMMAND",
        )
    reasons = [
        agent.get("reason") or f"it is {agent['lastStatus']}"
        for each in own_containers(task)
        if each["name"] == (container or each["name"])
        for agent in each.get("managedAgents") or []
    ]
    return SlipwayError(
        f"ECS Exec's agent does not run in the task {task_id}: {'; '.join(reasons) or 'ECS gives no reason'}.",
        "A task that was just started needs some seconds. Else compare its task role and mounts: docs/how-to/tasks.md",
    )
