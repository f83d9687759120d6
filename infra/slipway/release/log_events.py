"""Reads the logs of a stack's processes from CloudWatch as one stream, sorted by time."""

from __future__ import annotations

import heapq
import re
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from slipway.config.errors import SlipwayError
from slipway.release.aws_errors import describe_aws_error
from slipway.release.aws_session import ClientFactory

SEARCH_WINDOWS_SECONDS = (60, 600, 3600, 24 * 3600)
"""Time windows of the search for the last lines: a busy log group has them in the last minute."""
POLL_SECONDS = 2.0
"""Seconds between two polls: AWS allows an account five calls a second, and a stack has four log groups."""
LATE_ARRIVAL_SECONDS = 20
"""Events reach CloudWatch out of order: each poll reads that far back, and skips events that were shown."""


@dataclass(frozen=True)
class LogEvent:
    """One line of a container."""

    id: str
    when: int
    """Milliseconds since 1970."""
    process: str
    container: str
    task: str
    text: str


class LogReader:
    """Reads the log groups of a stack's processes, or of some of them."""

    def __init__(
        self, aws: ClientFactory, groups: Mapping[str, str], processes: Sequence[str] = (), grep: str = ""
    ) -> None:
        """`groups`: process -> log group, the stack's output `logGroups`. `processes`: only these, if given. `grep`:
        only lines that match this regular expression.

        Raises `SlipwayError` for a process without a log group, and for an invalid expression.
        """
        unknown = sorted({*processes} - {*groups})
        if unknown:
            raise SlipwayError(
                f"There is no process {', '.join(unknown)} with a log group.", f"--process: {', '.join(sorted(groups))}"
            )
        try:
            self._grep = re.compile(grep)
        except re.error as error:
            raise SlipwayError(
                f"--grep {grep!r} is not a valid regular expression: {error}.", r"--grep 'status.: 5\d\d'"
            ) from None
        self._client = aws.client("logs")
        self._processes = {*processes}
        self._seen: dict[str, int] = {}
        self._owners: dict[str, list[str]] = {}
        for process, group in groups.items():
            self._owners.setdefault(group, []).append(process)

    def last(self, count: int) -> list[LogEvent]:
        """Returns the last `count` lines of a day, the newest last."""
        events: deque[LogEvent] = deque(maxlen=count)
        now = time.time()
        for window in SEARCH_WINDOWS_SECONDS:
            events.clear()
            for event in self._all(now - window):
                if event.when > (now - LATE_ARRIVAL_SECONDS) * 1000:
                    self._seen[event.id] = event.when
                if self._shown(event):
                    events.append(event)
            if len(events) == count:
                break
        return [*events]

    def since(self, start: float) -> Iterator[LogEvent]:
        """Yields the lines since `start` (seconds since 1970), the newest last."""
        return (event for event in self._all(start) if self._shown(event))

    def follow(self, start: float | None = None) -> Iterator[list[LogEvent]]:
        """Yields the lines since `start` (seconds since 1970; default: after `last`), then new ones, endlessly."""
        newest = time.time() if start is None else start
        begin = newest - LATE_ARRIVAL_SECONDS if start is None else start
        while True:
            fresh = [event for event in self._all(begin) if event.id not in self._seen]
            newest = max([newest, *(event.when / 1000 for event in fresh)])
            begin = newest - LATE_ARRIVAL_SECONDS
            self._seen |= {event.id: event.when for event in fresh}
            self._seen = {id: when for id, when in self._seen.items() if when >= begin * 1000}
            yield [event for event in fresh if self._shown(event)]
            time.sleep(POLL_SECONDS)

    def _shown(self, event: LogEvent) -> bool:
        return (not self._processes or event.process in self._processes) and bool(self._grep.search(event.text))

    def _all(self, start: float) -> Iterator[LogEvent]:
        streams = [
            self._of(group, owners, max(int(start * 1000), 0))
            for group, owners in self._owners.items()
            if not self._processes or self._processes & {*owners}
        ]
        return heapq.merge(*streams, key=lambda event: event.when)

    def _of(self, group: str, owners: Sequence[str], start: int) -> Iterator[LogEvent]:
        pages = self._client.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=start)
        try:
            for page in pages:
                for event in page["events"]:
                    yield _parse_event(event, owners)
        except (ClientError, BotoCoreError) as error:
            described = describe_aws_error(error)
            raise SlipwayError(f"The log group {group} cannot be read. {described.message}", described.fix) from None


def _parse_event(event: Any, owners: Sequence[str]) -> LogEvent:
    """Parses an event. Log streams are named `prefix/container/task`; in a preview each container is a process."""
    _, container, task = (["-", "-", *event["logStreamName"].split("/")])[-3:]
    return LogEvent(
        id=event["eventId"],
        when=event["timestamp"],
        process=owners[0] if len(owners) == 1 else container,
        container=container,
        task=task,
        text=event["message"].rstrip("\n"),
    )
