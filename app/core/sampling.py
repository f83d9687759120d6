"""Which requests have lines in the log: a share of them (LOG_SAMPLE_RATE), and all that somebody will look for.

Each line says in `sample_rate` at what rate it was chosen, so that 1 / sample_rate, summed, is how many requests there
were. The choice follows from the trace, or the request's id: all lines of a request are there or none is, and with a
trace the lines of every service that asks in the same way. A caller may choose these ids, and so what is left out:
a record of every request is the load balancer's access log.
"""

import logging
from typing import Any
from zlib import crc32

from app.core.logging import request_context

SLOW_SECONDS = 1.0
"""From here on an answer counts as slow, as for the alarm of the load balancer (p99 over 1 s)."""
REFUSED_ACCESS = (401, 403)
"""Who tries keys is looked for answer by answer; the rate limiter bounds how many such lines there are."""


def must_be_told(status: int, seconds: float, *, refused: bool) -> bool:
    """Whether an answer has its line in any case. `refused`: there was no room for it, and there are many alike."""
    return status in REFUSED_ACCESS or (not refused and (status >= 500 or seconds >= SLOW_SECONDS))


def chosen(context: dict[str, Any], rate: float) -> bool:
    """Whether the request with these fields is among those at this rate."""
    known = str(context.get("trace_id") or context.get("request_id") or "")
    return rate >= 1 or crc32(known.encode()) < rate * 2**32


class Sampled(logging.Filter):
    """Of the lines that code writes during a request: those of chosen requests, and all warnings and errors."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; one that says its rate was chosen by who wrote it."""
        context = request_context.get()
        if not context or record.levelno > logging.INFO or hasattr(record, "sample_rate"):
            return True
        record.sample_rate = self.rate
        return chosen(context, self.rate)
