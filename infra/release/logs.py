"""What a task's containers wrote, read from CloudWatch Logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infra.release.client import Clients

LINES = 50


@dataclass(frozen=True)
class Stream:
    """Where one container of one task writes to."""

    group: str
    name: str


def stream(aws: Clients, task: Any, container: str) -> Stream | None:
    """Where a container of a task (as DescribeTasks has it) writes to; None where it has no log in CloudWatch."""
    about = aws.client("ecs").describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
    found: Any = next((each for each in about["containerDefinitions"] if each["name"] == container), {})
    options = (found.get("logConfiguration") or {}).get("options") or {}
    if "awslogs-group" not in options or "awslogs-stream-prefix" not in options:
        return None
    task_id = task["taskArn"].rsplit("/", 1)[-1]
    return Stream(options["awslogs-group"], f"{options['awslogs-stream-prefix']}/{container}/{task_id}")


def last_lines(aws: Clients, task: Any, container: str, limit: int = LINES) -> list[str]:
    """The last lines that a container wrote, or one that says why there is none."""
    where = stream(aws, task, container)
    if where is None:
        return [f"({container} has no log in CloudWatch)"]
    logs = aws.client("logs")
    try:
        found = logs.get_log_events(
            logGroupName=where.group, logStreamName=where.name, limit=limit, startFromHead=False
        )["events"]
    except logs.exceptions.ResourceNotFoundException:
        found = []
    return [event["message"].rstrip("\n") for event in found] or [f"({container} wrote no log)"]


class Tail:
    """A container's log while it is being written."""

    def __init__(self, aws: Clients, where: Stream) -> None:
        self._logs, self._where = aws.client("logs"), where
        self._token: str | None = None

    def new_lines(self) -> list[str]:
        """The lines since the last call."""
        lines: list[str] = []
        while True:
            more = {"nextToken": self._token} if self._token else {}
            try:
                page = self._logs.get_log_events(
                    logGroupName=self._where.group, logStreamName=self._where.name, startFromHead=True, **more
                )
            except self._logs.exceptions.ResourceNotFoundException:
                return lines  # nothing was written yet
            lines += [event["message"].rstrip("\n") for event in page["events"]]
            ended = page["nextForwardToken"] == self._token or not page["events"]
            self._token = page["nextForwardToken"]
            if ended:
                return lines
