"""`slipway restart`: replaces the tasks of services by new ones of the same task definition, as a verified rollout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slipway.config.errors import SlipwayError
from slipway.release import rollout
from slipway.release.aws_errors import aws_errors_as_slipway_errors
from slipway.release.clock import SYSTEM_CLOCK, Clock
from slipway.release.deployed_stack import DeployedStack
from slipway.release.process_services import describe_current_service, select_processes, smoke_test_of
from slipway.release.progress import ProgressReporter
from slipway.release.rollout import ExpectedService
from slipway.release.verify import LISTING_DELAY_SECONDS, force_deployment, verify_rollout


@dataclass(frozen=True)
class ProcessResult:
    """The running tasks of one process after a command."""

    process: str
    service: str
    task_definition: str
    """ARN."""
    tasks: int
    """That run."""
    seconds: float

    def json(self) -> dict[str, Any]:
        """For a program."""
        return vars(self).copy()


def restart_processes(
    stack: DeployedStack, names: Sequence[str], say: ProgressReporter, clock: Clock = SYSTEM_CLOCK
) -> list[ProcessResult]:
    """Replace the tasks of these processes, of all for no name; each is verified before the next one begins.

    Raises `SlipwayError` when the new tasks fail; ECS keeps the old ones then.
    """
    with aws_errors_as_slipway_errors():
        services = {process: describe_current_service(stack, process) for process in select_processes(stack, names)}
        return [_restart(stack, process, service, say, clock) for process, service in services.items()]


def _restart(
    stack: DeployedStack, process: str, service: ExpectedService, say: ProgressReporter, clock: Clock
) -> ProcessResult:
    began = clock.now()
    before = rollout.get_newest_deployment(stack.aws, service.cluster, service.name)
    force_deployment(stack.aws, service)
    _await_listing(stack, service, before.arn if before else "", clock)
    return verify_process(stack, process, service, began, say, clock)


def verify_process(
    stack: DeployedStack, process: str, service: ExpectedService, began: float, say: ProgressReporter, clock: Clock
) -> ProcessResult:
    """Verifies that a process's service serves, and returns its result with the seconds since `began`.

    Raises `SlipwayError` as `verify_rollout` does.
    """
    front_door = smoke_test_of(stack, process, service)
    verify_rollout(stack.aws, service, say, front_door=front_door, again=False, clock=clock, stack=stack.name)
    running = int(rollout.describe_service(stack.aws, service)["runningCount"])
    return ProcessResult(process, service.name, service.task_definition, running, round(clock.now() - began, 1))


def _await_listing(stack: DeployedStack, service: ExpectedService, former: str, clock: Clock) -> None:
    """Wait until ECS lists another deployment than the one of the ARN `former`, or the listing would prove nothing."""
    deadline = clock.now() + LISTING_DELAY_SECONDS
    while True:
        newest = rollout.get_newest_deployment(stack.aws, service.cluster, service.name)
        if newest and newest.arn != former:
            return
        if clock.now() > deadline:
            raise SlipwayError(
                f"ECS lists no new deployment of {service.name} {LISTING_DELAY_SECONDS:.0f} s after it was asked for.",
                f"Look at it again: slipway deployments {stack.name}",
            )
        clock.sleep(rollout.POLL_SECONDS)
