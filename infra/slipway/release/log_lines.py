"""Prints log events: as text of a terminal's width, or one JSON object a line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from slipway.release.log_events import LogEvent

PROCESS_COLORS = ("cyan", "magenta", "green", "blue", "bright_cyan", "bright_magenta")
"""Colours of the processes, in order."""
LEVEL_STYLES = {"warning": "yellow", "warn": "yellow", "error": "red", "critical": "bold red", "fatal": "bold red"}
MESSAGE_KEYS = ("event", "message", "msg")
LEVEL_KEYS = ("level", "levelname", "severity")
"""Names of these fields in structured lines of different apps."""
OMITTED_KEYS = {"time", "timestamp", "asctime", "release", "logger", "exception"}
"""Fields that the line shows elsewhere, or that are the same in every line."""
DEFAULT_COLUMNS = 80
"""Default width, for a terminal that does not report it."""
TASK_ID_LENGTH = 6
"""Displayed characters of a task's id."""


class LogPrinter:
    """Writes events to a file: text to a terminal, else JSON."""

    def __init__(self, out: TextIO, processes: Sequence[str]) -> None:
        """`processes`: all possible ones, for colours and columns."""
        self._out = out
        self._console = Console(file=out, highlight=False) if out.isatty() else None
        self._colors = {process: PROCESS_COLORS[n % len(PROCESS_COLORS)] for n, process in enumerate(sorted(processes))}
        self._width = max(map(len, processes), default=0)

    def show(self, events: Iterable[LogEvent]) -> None:
        """Prints the events and flushes."""
        for event in events:
            if self._console is None:
                self._out.write(json.dumps(event_as_json(event)) + "\n")
            else:
                # Read each time, because the window may be resized.
                self._console.width = os.get_terminal_size(self._out.fileno()).columns or DEFAULT_COLUMNS
                line = self._line(event)
                line.truncate(self._console.width, overflow="ellipsis")
                self._console.print(line, no_wrap=True)
        self._out.flush()

    def _line(self, event: LogEvent) -> Text:
        when = datetime.fromtimestamp(event.when / 1000, UTC).astimezone()
        fields = _parse_fields(event.text)
        level = str(_first_value(fields, LEVEL_KEYS) or "").lower()
        line = Text().append(f"{when:%H:%M:%S}.{event.when % 1000:03} ", style="dim")
        line.append(f"{event.process:<{self._width}} ", style=self._colors.get(event.process, "white"))
        line.append(f"{event.task[:TASK_ID_LENGTH]} ", style="dim")
        line.append(
            _replace_control_characters(_format_fields(fields, level) if fields else event.text),
            style=LEVEL_STYLES.get(level, ""),
        )
        return line


def event_as_json(event: LogEvent) -> dict[str, Any]:
    """Returns an event as JSON; `line`: the process's line, parsed if it is a JSON object."""
    when = datetime.fromtimestamp(event.when / 1000, UTC).isoformat(timespec="milliseconds")
    origin = {"time": when, "process": event.process, "container": event.container, "task": event.task}
    return origin | {"line": _parse_fields(event.text) or event.text}


def _parse_fields(text: str) -> dict[str, Any]:
    if not text.startswith("{"):
        return {}
    try:
        fields = json.loads(text)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _format_fields(fields: dict[str, Any], level: str) -> str:
    """Formats the message first, then the other fields, and long ids at the end."""
    shown_elsewhere = OMITTED_KEYS.union(MESSAGE_KEYS, LEVEL_KEYS)
    more = [(key, value) for key, value in fields.items() if key not in shown_elsewhere]
    more.sort(key=lambda pair: pair[0].endswith("_id"))
    error = str(fields.get("exception") or "").strip().rpartition("\n")[2]
    prefix = level.upper() if level in LEVEL_STYLES else ""
    words = [prefix, str(_first_value(fields, MESSAGE_KEYS) or ""), error, *(f"{key}={value}" for key, value in more)]
    return " ".join(word for word in words if word)


def _first_value(fields: dict[str, Any], names: Sequence[str]) -> Any:
    return next((fields[name] for name in names if name in fields), None)


def _replace_control_characters(text: str) -> str:
    """Returns the text without control characters: logs contain clients' input, such as terminal escape codes."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
