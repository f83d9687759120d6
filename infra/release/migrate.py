"""The database is migrated before new code runs: a one-off task of the same image, or nothing is touched."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from infra.errors import SlipwayError
from infra.release.client import Aws
from infra.release.failure import failing_container
from infra.release.logs import Tail, last_lines, stream
from infra.release.speaker import Say

STARTED_BY = "slipway-release"
ADDED_BY_AWS = "aws-guardduty"
"""How the names of containers begin that are in a task without being in its definition."""
TIMEOUT_SECONDS = 600.0
"""For a task to be placed, to pull its image and to migrate."""
STOP_SECONDS = 150.0
"""ECS's longest stopTimeout is 120 s."""
POLL_SECONDS = 1.0
UNTOUCHED = "No service was touched"


class Words(TypedDict, total=False):
    """What `Migration` says of itself in an error."""

    called: str
    mend: str
    so: str


@dataclass(frozen=True)
class Migration:
    """A one-off task."""

    cluster: str
    """ARN."""
    task_definition: str
    """ARN, or the family for its newest revision."""
    network: Mapping[str, Any]
    """`subnets`, `securityGroups` and `assignPublicIp` (a boolean), as the service has them."""
    command: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Container -> what it runs instead of the task definition's own."""
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Container -> variables beside the task definition's own. No secret among them: AWS shows them to whoever asks."""
    timeout: float = TIMEOUT_SECONDS
    called: str = "Migrate"
    """How an error begins."""
    mend: str = "Mend the migration and run `up` again."
    so: str = UNTOUCHED
    """What that leaves as it was."""


def run(aws: Aws, migration: Migration, say: Say) -> None:
    """Run the task to its end, telling what it writes while it does.

    Where one of another `up` still runs, of the same task definition, that one is followed; one of another definition
    is waited for: never two at once.
    Raises `SlipwayError` with the reason and the last log lines when it fails or takes too long.
    """
    ecs = aws.of(migration.cluster).client("ecs")
    definition = ecs.describe_task_definition(taskDefinition=migration.task_definition)["taskDefinition"]
    task = None
    for other in _running(ecs, migration.cluster, definition["family"]):
        if other["taskDefinitionArn"] == definition["taskDefinitionArn"] and not migration.command:
            say("This migration runs already: following it.")
            task = other
        else:
            say("Another migration runs: waiting for its end.")
            _end(aws, migration, other, say)
    _judge(aws, migration, _end(aws, migration, task or _start(ecs, migration), say))


def run_beside_others(aws: Aws, migration: Migration, say: Say) -> Any:
    """The same for a task that others of its definition may run beside; its last description."""
    task = _end(aws, migration, _start(aws.of(migration.cluster).client("ecs"), migration), say)
    _judge(aws, migration, task)
    return task


def _running(ecs: Any, cluster: str, family: str) -> list[Any]:
    arns = ecs.list_tasks(cluster=cluster, family=family, desiredStatus="RUNNING")["taskArns"]
    tasks = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
    return [task for task in tasks if task.get("startedBy") == STARTED_BY and task["lastStatus"] != "STOPPED"]


def _start(ecs: Any, migration: Migration) -> Any:
    overrides = [
        {
            "name": name,
            **({"command": list(migration.command[name])} if name in migration.command else {}),
            "environment": [{"name": k, "value": v} for k, v in migration.environment.get(name, {}).items()],
        }
        for name in dict.fromkeys([*migration.command, *migration.environment])
    ]
    started = ecs.run_task(
        cluster=migration.cluster,
        taskDefinition=migration.task_definition,
        launchType="FARGATE",
        startedBy=STARTED_BY,
        overrides={"containerOverrides": overrides},
        networkConfiguration={
            "awsvpcConfiguration": {
                "subnets": migration.network["subnets"],
                "securityGroups": migration.network.get("securityGroups") or [],
                "assignPublicIp": "ENABLED" if migration.network.get("assignPublicIp") else "DISABLED",
            }
        },
    )
    if not started["tasks"]:
        raise SlipwayError(f"{migration.called}: the task was not started: {started.get('failures')}. {migration.so}.")
    return started["tasks"][0]


def _end(aws: Aws, migration: Migration, task: Any, say: Say) -> Any:
    """Follow a task to its end; its last description."""
    ecs, arn = aws.client("ecs"), task["taskArn"]
    tails = [Tail(aws, where) for each in task["containers"] if (where := stream(aws, task, each["name"]))]
    deadline = time.monotonic() + migration.timeout
    while True:
        (found,) = ecs.describe_tasks(cluster=migration.cluster, tasks=[arn])["tasks"]
        for tail in tails:
            for line in tail.new_lines():
                say(line)
        if found["lastStatus"] == "STOPPED":
            return found
        if time.monotonic() > deadline:
            ecs.stop_task(cluster=migration.cluster, task=arn, reason="the migration took too long")
            _wait_stopped(ecs, migration.cluster, arn)
            raise SlipwayError(
                f"{migration.called}: it did not end in {migration.timeout:.0f} s and was stopped. {migration.so}. "
                "Its last lines:\n" + "\n".join(last_lines(aws, found, _last_started(found))),
                "It may wait for a lock that another session holds; or give it more time by its setting.",
            )
        time.sleep(POLL_SECONDS)


def _wait_stopped(ecs: Any, cluster: str, arn: str) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        (found,) = ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"]
        if found["lastStatus"] == "STOPPED":
            return
        time.sleep(POLL_SECONDS)


def _last_started(task: Any) -> str:
    """The name of the container that is at work: the first that has no exit code yet."""
    ours = _ours(task)
    return str(next((each for each in ours if "exitCode" not in each and each.get("runtimeId")), ours[0])["name"])


def _judge(aws: Aws, migration: Migration, task: Any) -> None:
    codes = {each["name"]: each.get("exitCode") for each in _ours(task)}
    if all(code == 0 for code in codes.values()):
        return
    failed = failing_container(task)
    container = next(each for each in task["containers"] if each["name"] == failed)
    why = container.get("reason") or task.get("stoppedReason") or "no reason given"
    code = f"{failed} exited with {codes[failed]}" if codes.get(failed) is not None else f"{failed} did not start"
    raise SlipwayError(
        f"{migration.called}: {code} ({why}). {migration.so}. Its last lines:\n"
        + "\n".join(last_lines(aws, task, failed)),
        migration.mend,
    )


def _ours(task: Any) -> list[Any]:
    return [each for each in task["containers"] if not each["name"].startswith(ADDED_BY_AWS)]
