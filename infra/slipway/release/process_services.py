"""The ECS services of a deployed stack's processes: which ones a command means, and how their rollouts are verified."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.config.errors import SlipwayError
from slipway.release import deployments, rollout
from slipway.release.deployed_stack import DeployedStack
from slipway.release.rollout import IN_PROGRESS_STATUSES, ExpectedService
from slipway.release.smoke_test import SmokeTest

SERVING_PROCESS = "web"
"""The process that the load balancer's address is asked for, where the stack has it."""


def select_processes(stack: DeployedStack, names: Sequence[str]) -> list[str]:
    """The processes of these names, each once; all of the stack's for no name.

    Raises `SlipwayError` for one that has no service, with those that have one.
    """
    unknown = [name for name in names if name not in stack.services]
    if not unknown:
        return list(dict.fromkeys(names or stack.services))
    log_groups = stack.outputs.get("logGroups", {})
    if unknown[0] in log_groups:
        problem = f"{unknown[0]} of the stack {stack.name} runs by a schedule or once a release, and has no service"
    else:
        problem = f"The stack {stack.name} has no process {unknown[0]}"
    raise SlipwayError(f"{problem}.", f"Processes with a service: {', '.join(stack.services)}.")


def describe_current_service(stack: DeployedStack, process: str) -> ExpectedService:
    """A process's service with the task definition that it has now.

    Raises `SlipwayError` while a rollout is in progress: two at once would hide each other's result.
    """
    name = stack.services[process]
    newest = rollout.get_newest_deployment(stack.aws, stack.cluster, name)
    if newest and newest.status in IN_PROGRESS_STATUSES:
        raise SlipwayError(
            f"A rollout of {process} in {stack.name} is in progress ({newest.status}). Nothing was changed.",
            f"Wait for its end: slipway deployments {stack.name}",
        )
    described = rollout.describe_service(stack.aws, ExpectedService(stack.cluster, name, ""))
    return ExpectedService(stack.cluster, name, described["taskDefinition"])


def smoke_test_of(stack: DeployedStack, process: str, service: ExpectedService) -> SmokeTest | None:
    """The request that proves that the stack's address is answered; None for a process that serves no address."""
    if process != SERVING_PROCESS:
        return None
    path = stack.outputs.get("health", {}).get("live", "")
    _, release = deployments.image_digest_and_release(stack.aws, service.task_definition)
    return SmokeTest(stack.outputs["url"].rstrip("/") + path, release or None)
