"""What a stack's processes write, as one stream: read from the log groups in CloudWatch that `up` has exported."""

from __future__ import annotations

import heapq
import re
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import SlipwayError
from infra.release.client import Clients

WINDOWS = (60, 600, 3600, 24 * 3600)
"""How many seconds back the last lines are looked for, further and further: a busy group has them in a minute."""
POLL_SECONDS = 2.0
"""Between two looks of one who follows: AWS allows five a second to an account, and a stack has four groups."""
LATE_SECONDS = 20
"""Lines reach CloudWatch out of order: so far back is read again, and what was shown is left out."""


@dataclass(frozen=True)
class Event:
    """One line of a container."""

    id: str
    when: int
    """Milliseconds since 1970."""
    process: str
    container: str
    task: str
    text: str


class Logs:
    """The log groups of a stack's processes, or of some of them."""

    def __init__(self, aws: Clients, groups: Mapping[str, str], processes: Sequence[str] = (), grep: str = "") -> None:
        """`groups`: process -> log group, as the stack's output `logGroups` has it. `processes`: only these. `grep`: a
        regular expression; only lines that have it.

        Raises `SlipwayError` for a process that is not there, and for an expression that is none.
        """
        unknown = sorted({*processes} - {*groups})
        if unknown:
            raise SlipwayError(
                f"There is no process {', '.join(unknown)} with a log here.", f"--process: {', '.join(sorted(groups))}"
            )
        try:
            self._grep = re.compile(grep)
        except re.error as error:
            why = f"--grep {grep!r} is no regular expression: {error}."
            raise SlipwayError(why, r"--grep 'status.: 5\d\d'") from None
        self._client = aws.client("logs")
        self._wanted = {*processes}
        self._seen: dict[str, int] = {}
        self._owners: dict[str, list[str]] = {}
        for process, group in groups.items():
            self._owners.setdefault(group, []).append(process)

    def last(self, count: int) -> list[Event]:
        """The last `count` lines of a day, the newest last."""
        found: deque[Event] = deque(maxlen=count)
        now = time.time()
        for window in WINDOWS:
            found.clear()
            for event in self._all(now - window):
                if event.when > (now - LATE_SECONDS) * 1000:
                    self._seen[event.id] = event.when
                if self._shown(event):
                    found.append(event)
            if len(found) == count:
                break
        return [*found]

    def since(self, start: float) -> Iterator[Event]:
        """The lines from a moment on (seconds since 1970), the newest last."""
        return (event for event in self._all(start) if self._shown(event))

    def follow(self, start: float | None = None) -> Iterator[list[Event]]:
        """The lines from a moment on, else those after `last`, and every two seconds the new ones; without an end."""
        newest = time.time() if start is None else start
        begin = newest - LATE_SECONDS if start is None else start
        while True:
            fresh = [event for event in self._all(begin) if event.id not in self._seen]
            newest = max([newest, *(event.when / 1000 for event in fresh)])
            begin = newest - LATE_SECONDS
            self._seen |= {event.id: event.when for event in fresh}
            self._seen = {id: when for id, when in self._seen.items() if when >= begin * 1000}
            yield [event for event in fresh if self._shown(event)]
            time.sleep(POLL_SECONDS)

    def _shown(self, event: Event) -> bool:
        return (not self._wanted or event.process in self._wanted) and bool(self._grep.search(event.text))

    def _all(self, start: float) -> Iterator[Event]:
        wanted = [
            self._of(group, owners, max(int(start * 1000), 0))
            for group, owners in self._owners.items()
            if not self._wanted or self._wanted & {*owners}
        ]
        return heapq.merge(*wanted, key=lambda event: event.when)

    def _of(self, group: str, owners: Sequence[str], start: int) -> Iterator[Event]:
        pages = self._client.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=start)
        try:
            for page in pages:
                for event in page["events"]:
                    yield _event(event, owners)
        except (ClientError, BotoCoreError) as error:
            raise SlipwayError(f"The log group {group} cannot be read: {error}.") from None


def _event(event: Any, owners: Sequence[str]) -> Event:
    """Streams are called `prefix/container/task`. A preview's containers share a group: there each is a process."""
    _, container, task = (["-", "-", *event["logStreamName"].split("/")])[-3:]
    return Event(
        id=event["eventId"],
        when=event["timestamp"],
        process=owners[0] if len(owners) == 1 else container,
        container=container,
        task=task,
        text=event["message"].rstrip("\n"),
    )
