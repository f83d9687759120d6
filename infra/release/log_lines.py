"""How a log's lines are shown: one an event in a terminal's width, or one JSON object a line for a program."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from infra.release.log_events import Event

COLORS = ("cyan", "magenta", "green", "blue", "bright_cyan", "bright_magenta")
"""Of processes, one after the other."""
LEVELS = {"warning": "yellow", "warn": "yellow", "error": "red", "critical": "bold red", "fatal": "bold red"}
EVENT = ("event", "message", "msg")
LEVEL = ("level", "levelname", "severity")
"""What structured lines call these, app by app."""
KNOWN = {"time", "timestamp", "asctime", "release", "logger", "exception"}
"""What a line has anyway, or what every line has."""
NARROW = 80
"""Columns of a terminal that does not say."""
TASK = 6
"""Characters of a task's id: enough to tell one from the other."""


class Printer:
    """Writes events to a file: for a person where it is a terminal, else for a program."""

    def __init__(self, out: TextIO, processes: Sequence[str]) -> None:
        """`processes`: all that may come, for colours and columns."""
        self._out = out
        self._console = Console(file=out, highlight=False) if out.isatty() else None
        self._colors = {process: COLORS[n % len(COLORS)] for n, process in enumerate(sorted(processes))}
        self._width = max(map(len, processes), default=0)

    def show(self, events: Iterable[Event]) -> None:
        """Print them, at once."""
        for event in events:
            if self._console is None:
                self._out.write(json.dumps(as_json(event)) + "\n")
            else:
                # Asked each time: a window may be made larger.
                self._console.width = os.get_terminal_size(self._out.fileno()).columns or NARROW
                line = self._line(event)
                line.truncate(self._console.width, overflow="ellipsis")
                self._console.print(line, no_wrap=True)
        self._out.flush()

    def _line(self, event: Event) -> Text:
        when = datetime.fromtimestamp(event.when / 1000, UTC).astimezone()
        fields = _parsed(event.text)
        level = str(_first(fields, LEVEL) or "").lower()
        line = Text().append(f"{when:%H:%M:%S}.{event.when % 1000:03} ", style="dim")
        line.append(f"{event.process:<{self._width}} ", style=self._colors.get(event.process, "white"))
        line.append(f"{event.task[:TASK]} ", style="dim")
        line.append(_one_line(_told(fields, level) if fields else event.text), style=LEVELS.get(level, ""))
        return line


def as_json(event: Event) -> dict[str, Any]:
    """An event for a program: `line` is what the process wrote, an object where that was one."""
    when = datetime.fromtimestamp(event.when / 1000, UTC).isoformat(timespec="milliseconds")
    about = {"time": when, "process": event.process, "container": event.container, "task": event.task}
    return about | {"line": _parsed(event.text) or event.text}


def _parsed(text: str) -> dict[str, Any]:
    if not text.startswith("{"):
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _told(fields: dict[str, Any], level: str) -> str:
    """What happened first, then its fields, and ids, which are long, at the end."""
    known = KNOWN.union(EVENT, LEVEL)
    more = [(key, value) for key, value in fields.items() if key not in known]
    more.sort(key=lambda pair: pair[0].endswith("_id"))
    error = str(fields.get("exception") or "").strip().rpartition("\n")[2]
    shout = level.upper() if level in LEVELS else ""
    words = [shout, str(_first(fields, EVENT) or ""), error, *(f"{key}={value}" for key, value in more)]
    return " ".join(word for word in words if word)


def _first(fields: dict[str, Any], names: Sequence[str]) -> Any:
    return next((fields[name] for name in names if name in fields), None)


def _one_line(text: str) -> str:
    """Without what would move a terminal's cursor or colour it: what strangers send is in a log."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
