"""Reads the log of a task's container from CloudWatch Logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slipway.release.aws_session import ClientFactory

DEFAULT_LINES = 50


@dataclass(frozen=True)
class LogStream:
    """The log stream of one container of one task."""

    group: str
    name: str


def find_log_stream(aws: ClientFactory, task: Any, container: str) -> LogStream | None:
    """Returns the log stream of a container of a task from DescribeTasks; None if it has none in CloudWatch."""
    described = aws.client("ecs").describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
    definition: Any = next((each for each in described["containerDefinitions"] if each["name"] == container), {})
    options = (definition.get("logConfiguration") or {}).get("options") or {}
    if "awslogs-group" not in options or "awslogs-stream-prefix" not in options:
        return None
    task_id = task["taskArn"].rsplit("/", 1)[-1]
    return LogStream(options["awslogs-group"], f"{options['awslogs-stream-prefix']}/{container}/{task_id}")


def read_last_lines(aws: ClientFactory, task: Any, container: str, limit: int = DEFAULT_LINES) -> list[str]:
    """Returns the last `limit` lines of a container; a line in parentheses if there are none."""
    stream = find_log_stream(aws, task, container)
    if stream is None:
        return [f"({container} has no log in CloudWatch)"]
    logs = aws.client("logs")
    try:
        events = logs.get_log_events(
            logGroupName=stream.group, logStreamName=stream.name, limit=limit, startFromHead=False
        )["events"]
    except logs.exceptions.ResourceNotFoundException:
        events = []
    return [event["message"].rstrip("\n") for event in events] or [f"({container} wrote no log)"]


class LogTail:
    """A container's log while it is being written."""

    def __init__(self, aws: ClientFactory, stream: LogStream) -> None:
        self._logs = aws.client("logs")
        self._stream = stream
        self._token: str | None = None

    def read_new_lines(self) -> list[str]:
        """Returns the lines since the last call."""
        lines: list[str] = []
        while True:
            more = {"nextToken": self._token} if self._token else {}
            try:
                page = self._logs.get_log_events(
                    logGroupName=self._stream.group, logStreamName=self._stream.name, startFromHead=True, **more
                )
            except self._logs.exceptions.ResourceNotFoundException:
                return lines  # no output yet
            lines += [event["message"].rstrip("\n") for event in page["events"]]
            ended = page["nextForwardToken"] == self._token or not page["events"]
            self._token = page["nextForwardToken"]
            if ended:
                return lines
