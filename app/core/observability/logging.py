"""Logs: one line an event, JSON in containers and readable text in a terminal, the same for every library.

A share of the requests has lines (LOG_SAMPLE_RATE), and so have all that failed or were slow. `sample_rate` on a line
is the rate that it was chosen at, so that 1 / sample_rate, summed, is how many requests there were. The choice follows
from the trace, or the request's id: all lines of a request are there or none is (docs/app.md, Logs).
"""

import json
import logging
import logging.config
import sys
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

# Fields of the request (or job) in hand; every line logged meanwhile carries them.
request_context: ContextVar[dict[str, Any] | None] = ContextVar("request_context", default=None)

# What tracing adds where it is on: the ids of the span in hand.
span_fields: Callable[[], dict[str, str]] = dict

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    extra = {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
    return {**(request_context.get() or {}), **span_fields(), **extra}


_encode = json.JSONEncoder(default=str).encode


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, release: str = "unknown") -> None:
        super().__init__()
        self.release = release

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            "release": self.release,
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line)


class TextFormatter(logging.Formatter):
    """The same line for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]
        fields = " ".join(f"{key}={value}" for key, value in _fields(record).items())
        line = f"{time} {record.levelname:<8} {record.getMessage():<24} {fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


SLOW_SECONDS = 1.0  # as for the load balancer's alarm (p99 over 1 s)
REFUSED_ACCESS = (401, 403)  # who tries keys is looked for answer by answer; the rate limiter bounds these lines


def always_logged(status: int, seconds: float, *, overloaded: bool) -> bool:
    """Whether a response has its line in any case. `overloaded`: there was no room for it, and there are many alike."""
    return status in REFUSED_ACCESS or (not overloaded and (status >= 500 or seconds >= SLOW_SECONDS))


def is_sampled(context: dict[str, Any], rate: float) -> bool:
    """Whether the request with these fields is among those at this rate."""
    known = str(context.get("trace_id") or context.get("request_id") or "")
    return rate >= 1 or crc32(known.encode()) < rate * 2**32


class Sampled(logging.Filter):
    """Of the lines that code writes during a request: those of chosen requests, and all warnings and errors."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def filter(self, record: logging.LogRecord) -> bool:
        context = request_context.get()
        if not context or record.levelno > logging.INFO or hasattr(record, "sample_rate"):
            return True  # a line that says its rate was chosen by who wrote it
        record.sample_rate = self.rate
        return is_sampled(context, self.rate)


def logging_config(level: str, release: str = "unknown", sample_rate: float = 1) -> dict[str, Any]:
    """The dictConfig; gunicorn takes it as `logconfig_dict`, so its own lines have the same form. `sample_rate`: of the
    lines that belong to a request."""
    formatter = "text" if sys.stdout.isatty() else "json"
    console = {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}
    quiet = {"level": "WARNING", "propagate": True, "handlers": []}
    through_root = {"level": "INFO", "propagate": True, "handlers": []}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter, "release": release}, "text": {"()": TextFormatter}},
        "filters": {"sampled": {"()": "app.core.observability.logging.Sampled", "rate": sample_rate}},
        "handlers": {"console": console | {"formatter": formatter, "filters": ["sampled"]}},
        "root": {"level": level.upper(), "handlers": ["console"]},
        "loggers": {
            **dict.fromkeys(["gunicorn.error", "uvicorn.error"], through_root),
            # RequestMiddleware writes a request's line, with more in it.
            **dict.fromkeys(["gunicorn.access", "uvicorn.access", "botocore"], quiet),
        },
    }


def configure_logging(level: str, release: str = "unknown", sample_rate: float = 1) -> None:
    """Take over the process's logging."""
    # What no line shows is not looked up for each (Python's logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.config.dictConfig(logging_config(level, release, sample_rate))


def first_line(error: Exception) -> str:
    """What an error says, in one line; a time-out has no text, and says its name."""
    return (str(error).splitlines() or [type(error).__name__])[0]
