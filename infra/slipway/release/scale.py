"""`slipway scale`: another number of tasks, verified; the stack file wins at the next `up`, which restores its own.

A tag of the service says that it was scaled by hand: an `up` compares its settings with its own state alone, and would
never see it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from slipway.config.errors import SlipwayError
from slipway.release import rollout, task_watch
from slipway.release.aws_errors import aws_errors_as_slipway_errors
from slipway.release.aws_session import AwsSession
from slipway.release.clock import SYSTEM_CLOCK, Clock
from slipway.release.deployed_stack import DeployedStack
from slipway.release.failure_report import explain_failure
from slipway.release.pause_steps import change_scalable_target, find_scalable_target, tags_of
from slipway.release.process_services import describe_current_service, select_processes
from slipway.release.progress import ProgressReporter
from slipway.release.restart import ProcessResult, verify_process
from slipway.release.rollout import ExpectedService

SCALED_TAG = "slipway:scaled"
"""Tag of an ECS service that `slipway scale` has changed; its value is the number of tasks."""
MAX_TASKS = 5000
"""ECS's quota of tasks for each service."""
TASKS_TIMEOUT_SECONDS = 600.0
"""How long new tasks may take until they serve: image pull, start and health checks."""


def parse_task_counts(arguments: Sequence[str]) -> dict[str, int]:
    """`["web=4", "worker=2"]` as process -> number of tasks. Raises `SlipwayError` for anything else."""
    counts: dict[str, int] = {}
    for argument in arguments:
        process, _, number = argument.partition("=")
        if not process or not re.fullmatch(r"\d{1,5}", number):
            raise SlipwayError(f"{argument!r} is no process and number of tasks.", "Write it as web=4.")
        if process in counts:
            raise SlipwayError(f"{process} is named twice.", "Name each process once.")
        if not 1 <= int(number) <= MAX_TASKS:
            raise SlipwayError(
                f"{argument}: allowed are 1 to {MAX_TASKS} tasks.", "To stop a whole stack: slipway pause STACK"
            )
        counts[process] = int(number)
    return counts


def scale_processes(
    stack: DeployedStack, counts: Mapping[str, int], say: ProgressReporter, clock: Clock = SYSTEM_CLOCK
) -> list[ProcessResult]:
    """Run this many tasks of each process, and verify that they serve.

    Where the service autoscales, the number becomes its minimum, and its maximum where that was lower. Raises
    `SlipwayError` when the tasks do not come up; the number stays as it was asked for.
    """
    with aws_errors_as_slipway_errors():
        services = {name: describe_current_service(stack, name) for name in select_processes(stack, list(counts))}
        return [_scale(stack, name, service, counts[name], say, clock) for name, service in services.items()]


def restore_task_counts(
    aws: AwsSession, service: ExpectedService, tasks: int, max_tasks: int, say: ProgressReporter
) -> None:
    """Set the number of tasks of a service that was scaled by hand to the stack file's; nothing for another one."""
    ecs = aws.client("ecs")
    described = ecs.describe_services(cluster=service.cluster, services=[service.name], include=["TAGS"])
    (description,) = described["services"]
    scaled = tags_of(description).get(SCALED_TAG)
    if scaled is None:
        return
    is_autoscaled = max_tasks > tasks
    if is_autoscaled:
        change_scalable_target(aws.client, service.cluster, service.name, MinCapacity=tasks, MaxCapacity=max_tasks)
    ecs.update_service(cluster=service.cluster, service=service.name, desiredCount=tasks)
    ecs.untag_resource(resourceArn=description["serviceArn"], tagKeys=[SCALED_TAG])
    numbers = f"{tasks} to {max_tasks}" if is_autoscaled else str(tasks)
    say(f"{service.name}: `slipway scale` had set {scaled} tasks; it has {numbers} again, as the stack file says.")


def _scale(
    stack: DeployedStack, process: str, service: ExpectedService, tasks: int, say: ProgressReporter, clock: Clock
) -> ProcessResult:
    began = clock.now()
    ecs = stack.aws.client("ecs")
    arn = rollout.describe_service(stack.aws, service)["serviceArn"]
    # The tag is first: without it no `up` would restore what was changed before this process was killed.
    ecs.tag_resource(resourceArn=arn, tags=[{"key": SCALED_TAG, "value": str(tasks)}])
    target = find_scalable_target(stack.aws.client, service.cluster, service.name)
    if target:
        largest = max(tasks, int(target["MaxCapacity"]))
        change_scalable_target(stack.aws.client, service.cluster, service.name, MinCapacity=tasks, MaxCapacity=largest)
    ecs.update_service(cluster=service.cluster, service=service.name, desiredCount=tasks)
    await_tasks(stack.aws, service, tasks, say, clock)
    return verify_process(stack, process, service, began, say, clock)


def await_tasks(
    aws: AwsSession,
    service: ExpectedService,
    tasks: int,
    say: ProgressReporter,
    clock: Clock = SYSTEM_CLOCK,
    timeout: float = TASKS_TIMEOUT_SECONDS,
) -> None:
    """Wait until a service runs this number of tasks, and each passes its health checks.

    ECS counts a task as running before its app answers, and a change of the number of tasks is no deployment, which
    would wait for it. Raises `SlipwayError` with the cause when the tasks do not come up.
    """
    deadline = clock.now() + timeout
    last_line = ""
    while True:
        running = int(rollout.describe_service(aws, service)["runningCount"])
        serving = task_watch.count_serving_tasks(aws, service) if running == tasks else 0
        line = f"{service.name}: {running} of {tasks} tasks run"
        if running == tasks and serving < tasks:
            line += f", {serving} pass their health checks"
        if line != last_line:
            last_line = line
            say(line)
        if running == serving == tasks:
            return
        if clock.now() > deadline:
            newest = rollout.get_newest_deployment(aws, service.cluster, service.name)
            causes = explain_failure(aws, service, newest) if newest else []
            raise SlipwayError(
                "\n".join([f"{line} after {timeout:.0f} s.", *causes]),
                "Fix it, or set the number back; ECS continues to try.",
            )
        clock.sleep(rollout.POLL_SECONDS)
