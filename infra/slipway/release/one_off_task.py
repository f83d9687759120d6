"""Runs a command once, in a task of the image, role, secrets and network that serve: `slipway run`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.config.aws_limits import check_fargate_size
from slipway.config.errors import SlipwayError
from slipway.release.aws_errors import aws_errors_as_slipway_errors, retry_reads
from slipway.release.clock import SYSTEM_CLOCK, Clock
from slipway.release.deployed_stack import DeployedStack
from slipway.release.logs import LogTail, find_log_stream
from slipway.release.progress import ProgressReporter
from slipway.release.standalone_task import (
    LISTING_DELAY_SECONDS,
    POLL_SECONDS,
    StandaloneTask,
    describe_task,
    own_containers,
    start_task,
)

STARTED_BY = "slipway-run"
INTERRUPTED_EXIT_CODE = 130
LATE_LINE_POLLS = 2
"""Polls of the log after the task's end: its last lines reach CloudWatch a moment later."""


@dataclass(frozen=True)
class RunRequest:
    """What a user asks for."""

    process: str = ""
    """Process whose task runs; empty: `web`, or the only service."""
    command: Sequence[str] = ()
    """The command; empty: the process's own."""
    release: bool = False
    """Whether the release task runs it, whose role may change the schema."""
    cpu: int = 0
    memory: int = 0


@dataclass(frozen=True)
class OneOffTask:
    """A one-off task that can be started."""

    process: str
    container: str
    task: StandaloneTask
    command: Sequence[str]
    image: str

    def describe(self, stack: DeployedStack) -> str:
        """Says what will run where, in one sentence."""
        session = stack.aws.session
        return (
            f"Running `{' '.join(self.command) or 'its own command'}` as {self.process} of {stack.name}, in account "
            f"{stack.aws.account} ({session.region_name}), image {self.image.rpartition('/')[2]}"
        )


def plan_one_off_task(stack: DeployedStack, request: RunRequest) -> OneOffTask:
    """Returns the task that a request means.

    A service's task definition and network are ECS's own: after a rollback it is the
    running release, not the requested one.
    Raises `SlipwayError` for a process that does not exist or has no command, and for a size that Fargate lacks.
    """
    with aws_errors_as_slipway_errors():
        ecs = stack.aws.client("ecs")
        process, target = _find_release(stack, request) if request.release else _find_process(stack, ecs, request)
        definition = ecs.describe_task_definition(taskDefinition=target["taskDefinition"])["taskDefinition"]
    container = _find_container(definition, process)
    if request.cpu or request.memory:
        _check_size(definition, request)
    command = tuple(request.command)
    task = StandaloneTask(
        stack.cluster,
        definition["taskDefinitionArn"],
        target["network"],
        command={container["name"]: command} if command else {},
        subject="Run",
        fix=f"slipway run {stack.name} --help",
        consequence="Nothing else was changed",
        cpu=request.cpu,
        memory=request.memory,
        exec=bool(stack.outputs.get("exec")),
        started_by=STARTED_BY,
    )
    return OneOffTask(process, container["name"], task, command or container.get("command") or (), container["image"])


def start_one_off_task(stack: DeployedStack, task: OneOffTask) -> str:
    """Starts the task; its ARN. Raises `SlipwayError` where ECS does not start it."""
    with aws_errors_as_slipway_errors():
        return str(start_task(stack.aws.client("ecs"), task.task)["taskArn"])


def follow_one_off_task(
    stack: DeployedStack,
    task: OneOffTask,
    arn: str,
    say: ProgressReporter,
    clock: Clock = SYSTEM_CLOCK,
    *,
    tails: dict[str, LogTail] | None = None,
) -> int:
    """Reports what the task writes until it ends; its exit code.

    `tails`: kept by a caller who follows the task a second time, so that no line is reported twice.
    Raises `SlipwayError` where it ended without one: it did not start, or was stopped.
    """
    with aws_errors_as_slipway_errors():
        ecs = stack.aws.client("ecs")
        open_tails = {} if tails is None else tails
        latest: Any = None
        last_seen = clock.now()
        while latest is None or latest["lastStatus"] != "STOPPED":
            described = retry_reads(lambda: describe_task(ecs, stack.cluster, {"taskArn": arn}), say, clock)
            if described:
                latest, last_seen = described, clock.now()
            elif clock.now() - last_seen > LISTING_DELAY_SECONDS:
                raise SlipwayError(f"ECS does not know the task {arn} any more.", f"Its log: slipway logs {stack.name}")
            if latest is not None and arn not in open_tails:
                stream = find_log_stream(stack.aws, latest, task.container)
                if stream:
                    open_tails[arn] = LogTail(stack.aws, stream)
            _report_new_lines(open_tails.get(arn), say, clock)
            clock.sleep(POLL_SECONDS)
        for _ in range(LATE_LINE_POLLS):
            _report_new_lines(open_tails.get(arn), say, clock)
            clock.sleep(POLL_SECONDS)
    return _exit_code(latest, task.container)


def stop_one_off_task(stack: DeployedStack, arn: str) -> None:
    """Asks ECS to stop the task: SIGTERM, and SIGKILL at its stopTimeout."""
    with aws_errors_as_slipway_errors():
        stack.aws.client("ecs").stop_task(cluster=stack.cluster, task=arn, reason="slipway run was interrupted")


def _report_new_lines(tail: LogTail | None, say: ProgressReporter, clock: Clock) -> None:
    if tail:
        for line in retry_reads(tail.read_new_lines, say, clock):
            say(line)


def _exit_code(task: Any, name: str) -> int:
    container = next(each for each in own_containers(task) if each["name"] == name)
    code = container.get("exitCode")
    if code is None:
        reasons = [container.get("reason"), task.get("stoppedReason")]
        raise SlipwayError(
            f"Run: {name} did not run ({'; '.join(filter(None, reasons)) or 'ECS gives no reason'}).",
            "Correct what the reason names, then run the same command again.",
        )
    return int(code)


def _find_release(stack: DeployedStack, request: RunRequest) -> tuple[str, Mapping[str, Any]]:
    if request.process:
        raise SlipwayError(
            f"--release and the process {request.process} contradict each other.",
            f"slipway run {stack.name} --release -- COMMAND",
        )
    if not request.command:
        raise SlipwayError(
            "--release needs a command.", f"slipway run {stack.name} --release -- COMMAND; or slipway migrate"
        )
    step = stack.outputs.get("release")
    if not step:
        raise SlipwayError(
            f"The stack {stack.name} has no release step.", "`release` in stacks/app.yaml is its command."
        )
    return step["container"], {"taskDefinition": step.get("taskDefinition") or step["family"], **step}


def _find_process(stack: DeployedStack, ecs: Any, request: RunRequest) -> tuple[str, Mapping[str, Any]]:
    tasks = stack.outputs.get("tasks") or {}
    process = request.process or stack.default_process
    if process in tasks:
        return process, tasks[process]
    if process not in stack.services:
        raise SlipwayError(
            f"There is no process {process} in {stack.name}.",
            f"There are {', '.join(sorted({*stack.services, *tasks})) or 'none'}.",
        )
    if not request.command:
        raise SlipwayError(
            f"{process} runs all the time: a one-off task of it needs a command.",
            f"slipway run {stack.name} -p {process} -- COMMAND",
        )
    services = ecs.describe_services(cluster=stack.cluster, services=[stack.services[process]])["services"]
    if not services or services[0]["status"] == "INACTIVE":
        raise SlipwayError(f"ECS has no service {stack.services[process]}.", f"pulumi up --stack {stack.name}")
    network = services[0]["networkConfiguration"]["awsvpcConfiguration"]
    return process, {
        "taskDefinition": services[0]["taskDefinition"],
        "network": {**network, "assignPublicIp": network.get("assignPublicIp") == "ENABLED"},
    }


def _find_container(definition: Any, process: str) -> Any:
    containers = definition["containerDefinitions"]
    return next((each for each in containers if each["name"] == process), containers[0])


def _check_size(definition: Any, request: RunRequest) -> None:
    try:
        check_fargate_size(
            "--cpu",
            request.cpu or int(definition["cpu"]),
            "--memory",
            request.memory or int(definition["memory"]),
        )
    except ValueError as error:
        raise SlipwayError(f"{error}.", "Give --cpu and --memory together.") from None
