"""Runs a standalone ECS task to its end, such as the release task, which migrates the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from slipway.config.errors import SlipwayError
from slipway.release.aws_errors import aws_errors_as_slipway_errors, retry_reads
from slipway.release.aws_session import AwsSession
from slipway.release.clock import SYSTEM_CLOCK, Clock
from slipway.release.failure_report import find_failed_container
from slipway.release.logs import LogTail, find_log_stream, read_last_lines
from slipway.release.progress import ProgressReporter

STARTED_BY = "slipway-release"
AWS_SIDECAR_PREFIX = "aws-guardduty"
"""Prefix of containers that AWS adds to those of the task definition."""
TASK_TIMEOUT_SECONDS = 600.0
"""Limit for placement, image pull and migration together."""
STOP_TIMEOUT_SECONDS = 150.0
"""More than ECS's maximum stopTimeout of 120 s."""
LISTING_DELAY_SECONDS = 60.0
"""Maximum delay between RunTask and DescribeTasks."""
POLL_SECONDS = 1.0
NO_SERVICE_CHANGED = "No service was changed"


class ErrorText(TypedDict, total=False):
    """The error texts of a `StandaloneTask`; see there."""

    subject: str
    fix: str
    consequence: str


@dataclass(frozen=True)
class StandaloneTask:
    """A one-off task."""

    cluster: str
    """ARN."""
    task_definition: str
    """ARN, or the family for its newest revision."""
    network: Mapping[str, Any]
    """The service's `subnets`, `securityGroups` and `assignPublicIp` (a boolean)."""
    command: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Container -> command that overrides the task definition's."""
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Container -> variables in addition to the task definition's. No secrets: DescribeTasks returns them."""
    timeout: float = TASK_TIMEOUT_SECONDS
    subject: str = "Migrate"
    """Prefix of an error message."""
    fix: str = "Fix the migration and run `up` again."
    consequence: str = NO_SERVICE_CHANGED
    """What the error leaves unchanged."""
    cpu: int = 0
    """CPU units instead of the task definition's; 0: its own."""
    memory: int = 0
    """MiB instead of the task definition's; 0: its own."""
    exec: bool = False
    """Whether `slipway exec` may open a shell in it."""
    started_by: str = STARTED_BY


def run_exclusive_task(
    aws: AwsSession, migration: StandaloneTask, say: ProgressReporter, clock: Clock = SYSTEM_CLOCK
) -> None:
    """Runs the task to its end and reports its log; never two tasks of its family at the same time.

    Follows a running task of the same definition, from an interrupted `up`; waits for one of another definition, and
    for one that is being stopped: until its stop time-out has passed it may still change the schema.
    Raises `SlipwayError` with the reason and the last log lines if it fails or takes too long, and for AWS errors.
    """
    with aws_errors_as_slipway_errors():
        ecs = aws.of(migration.cluster).client("ecs")
        definition = ecs.describe_task_definition(taskDefinition=migration.task_definition)["taskDefinition"]
        task = None
        for other in _list_running_tasks(ecs, migration.cluster, definition["family"]):
            if other["desiredStatus"] == "STOPPED":
                say("Another migration is being stopped: waiting for its end.")
                _follow_to_end(aws, migration, other, say, clock)
            elif other["taskDefinitionArn"] == definition["taskDefinitionArn"] and not migration.command:
                say("This migration is running: following it.")
                task = other
            else:
                say("Another migration is running: waiting for its end.")
                _follow_to_end(aws, migration, other, say, clock)
        task = task or start_task(ecs, migration)
        _ensure_succeeded(aws, migration, _follow_to_end(aws, migration, task, say, clock))


def run_concurrent_task(
    aws: AwsSession, migration: StandaloneTask, say: ProgressReporter, clock: Clock = SYSTEM_CLOCK
) -> Any:
    """Runs the task to its end, even if others of its family run; returns its last description. Raises as above."""
    with aws_errors_as_slipway_errors():
        ecs = aws.of(migration.cluster).client("ecs")
        task = _follow_to_end(aws, migration, start_task(ecs, migration), say, clock)
        _ensure_succeeded(aws, migration, task)
        return task


def _list_running_tasks(ecs: Any, cluster: str, family: str) -> list[Any]:
    """Returns the family's release tasks that have not ended, those that are being stopped included."""
    found: dict[str, Any] = {}
    for status in ("RUNNING", "STOPPED"):  # in this order a task that changes meanwhile is in the second list
        arns = ecs.list_tasks(cluster=cluster, family=family, desiredStatus=status)["taskArns"]
        tasks = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
        found |= {task["taskArn"]: task for task in tasks}
    return [task for task in found.values() if task.get("startedBy") == STARTED_BY and task["lastStatus"] != "STOPPED"]


def start_task(ecs: Any, migration: StandaloneTask) -> Any:
    """Starts the task; returns its description. Raises `SlipwayError` with ECS's reason if it starts none."""
    containers = [
        {
            "name": name,
            **({"command": list(migration.command[name])} if name in migration.command else {}),
            "environment": [{"name": k, "value": v} for k, v in migration.environment.get(name, {}).items()],
        }
        for name in dict.fromkeys([*migration.command, *migration.environment])
    ]
    sizes = {key: str(size) for key, size in (("cpu", migration.cpu), ("memory", migration.memory)) if size}
    started = ecs.run_task(
        cluster=migration.cluster,
        taskDefinition=migration.task_definition,
        launchType="FARGATE",
        startedBy=migration.started_by,
        enableExecuteCommand=migration.exec,
        overrides={"containerOverrides": containers, **sizes},
        networkConfiguration={
            "awsvpcConfiguration": {
                "subnets": migration.network["subnets"],
                "securityGroups": migration.network.get("securityGroups") or [],
                "assignPublicIp": "ENABLED" if migration.network.get("assignPublicIp") else "DISABLED",
            }
        },
    )
    if not started["tasks"]:
        reasons = "; ".join(
            f"{failure.get('reason', 'no reason')} {failure.get('detail', '')}".strip()
            for failure in started.get("failures") or [{}]
        )
        raise SlipwayError(
            f"{migration.subject}: the task was not started: {reasons}. {migration.consequence}.", migration.fix
        )
    return started["tasks"][0]


def _follow_to_end(aws: AwsSession, migration: StandaloneTask, task: Any, say: ProgressReporter, clock: Clock) -> Any:
    """Follows a task to its end; returns its last description."""
    ecs = aws.client("ecs")
    tails = _open_log_tails(aws, task)
    deadline = clock.now() + migration.timeout
    last_seen = clock.now()
    latest = task
    while True:
        described = retry_reads(lambda: describe_task(ecs, migration.cluster, task), say, clock)
        if described:
            latest = described
            last_seen = clock.now()
        elif clock.now() - last_seen > LISTING_DELAY_SECONDS:
            raise SlipwayError(
                f"{migration.subject}: ECS no longer lists the task {task['taskArn']}. {migration.consequence}.",
                "Run the same command again.",
            )
        for tail in tails:
            for line in retry_reads(tail.read_new_lines, say, clock):
                say(line)
        if latest["lastStatus"] == "STOPPED":
            return latest
        if clock.now() > deadline:
            _stop_task(ecs, migration.cluster, task, clock)
            lines = read_last_lines(aws, latest, _running_container(latest))
            raise SlipwayError(
                f"{migration.subject}: it did not end in {migration.timeout:.0f} s and was stopped. "
                f"{migration.consequence}. Its last lines:\n" + "\n".join(lines),
                "It may wait for a lock of another session; or raise its time-out in the settings.",
            )
        clock.sleep(POLL_SECONDS)


def _open_log_tails(aws: AwsSession, task: Any) -> list[LogTail]:
    streams = [find_log_stream(aws, task, container["name"]) for container in task["containers"]]
    return [LogTail(aws, stream) for stream in streams if stream]


def describe_task(ecs: Any, cluster: str, task: Any) -> Any:
    """Returns the task's current description; None if ECS does not list it, as shortly after its start."""
    return next(iter(ecs.describe_tasks(cluster=cluster, tasks=[task["taskArn"]])["tasks"]), None)


def _stop_task(ecs: Any, cluster: str, task: Any, clock: Clock) -> None:
    """Stops a task, and waits for its end or for `STOP_TIMEOUT_SECONDS`."""
    ecs.stop_task(cluster=cluster, task=task["taskArn"], reason="it took longer than its time limit")
    deadline = clock.now() + STOP_TIMEOUT_SECONDS
    while clock.now() < deadline:
        latest = describe_task(ecs, cluster, task)
        if latest is None or latest["lastStatus"] == "STOPPED":
            return
        clock.sleep(POLL_SECONDS)


def _running_container(task: Any) -> str:
    """Returns the first container that has started and not exited; else the first one."""
    containers = own_containers(task)
    running = (each for each in containers if "exitCode" not in each and each.get("runtimeId"))
    return str(next(running, containers[0])["name"])


def _ensure_succeeded(aws: AwsSession, migration: StandaloneTask, task: Any) -> None:
    codes = {each["name"]: each.get("exitCode") for each in own_containers(task)}
    if all(code == 0 for code in codes.values()):
        return
    failed = find_failed_container(task)
    container = next(each for each in task["containers"] if each["name"] == failed)
    reason = container.get("reason") or task.get("stoppedReason") or "no reason given"
    ending = f"{failed} exited with {codes[failed]}" if codes.get(failed) is not None else f"{failed} did not start"
    raise SlipwayError(
        f"{migration.subject}: {ending} ({reason}). {migration.consequence}. Its last lines:\n"
        + "\n".join(read_last_lines(aws, task, failed)),
        migration.fix,
    )


def own_containers(task: Any) -> list[Any]:
    """Returns the containers of the task definition, without those that AWS adds."""
    return [each for each in task["containers"] if not each["name"].startswith(AWS_SIDECAR_PREFIX)]
