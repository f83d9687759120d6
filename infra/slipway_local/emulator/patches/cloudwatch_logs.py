"""FilterLogEvents in pages: ministack answers with the oldest 10,000 events and says nothing of the rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch_logs

Response = tuple[int, dict[str, str], bytes]
PAGE_SIZE = 10_000
"""Events, at most, as AWS has it."""


def install() -> None:
    """Replaces ministack's own."""
    cloudwatch_logs._filter_log_events = paginate(cloudwatch_logs._filter_log_events)


def paginate(original: Callable[[dict[str, Any]], Response]) -> Callable[[dict[str, Any]], Response]:
    """Page by tokens that name the last moment shown, and how many of its events were shown."""

    def answer(data: dict[str, Any]) -> Response:
        moment, _, shown = str(data.get("nextToken") or "").partition("/")
        start = {"startTime": int(moment)} if moment else {}
        status, headers, body = original(data | start)
        found = json.loads(body)
        events = found.get("events", [])
        if status == 200:
            found["events"] = events[int(shown or 0) :]
        if len(events) >= min(data.get("limit", PAGE_SIZE), PAGE_SIZE):
            last = events[-1]["timestamp"]
            found["nextToken"] = f"{last}/{sum(event['timestamp'] == last for event in events)}"
        return status, headers, json.dumps(found).encode()

    return answer
