"""Showing the logs of what runs locally."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque

from infra.errors import SlipwayError
from infra.local import engine
from infra.local.emulator import process as emulator
from infra.local.paths import run_dir
from infra.local.session import open_session
from infra.local.status import client

FILES = {"emulator": "emulator.log", "docker": "dockerd.log"}
POLL_SECONDS = 1.0


def show(what: str, *, lines: int, follow: bool) -> None:
    """Print the last lines of the app's log group or of a server's log file, and go on when asked."""
    if what == "app":
        _app(lines, follow)
    elif what in FILES:
        _file(FILES[what], lines, follow)
    else:
        raise SlipwayError(f"There is no log of {what!r}.", f"Logs: app, {', '.join(FILES)}")


def _file(name: str, lines: int, follow: bool) -> None:
    path = run_dir() / "log" / name
    if not path.exists():
        raise SlipwayError(f"{path} does not exist: that server was not started here.", "make up")
    with path.open(errors="replace") as log:
        sys.stdout.writelines(deque(log, maxlen=lines))
        with contextlib.suppress(KeyboardInterrupt):
            while follow:
                sys.stdout.write(log.read())
                sys.stdout.flush()
                time.sleep(POLL_SECONDS)


def _app(lines: int, follow: bool) -> None:
    session = open_session()
    group = engine.outputs(session).get("logGroup") if emulator.running() else None
    if not group:
        raise SlipwayError("Nothing is deployed, so the app has no log.", "make up")
    logs = client(session, "logs")

    def since(start: int) -> list[tuple[int, str]]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=start)
        return sorted((event["timestamp"], event["message"]) for page in pages for event in page["events"])

    events = since(0)[-lines:]
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            sys.stdout.writelines(message.rstrip("\n") + "\n" for _, message in events)
            sys.stdout.flush()
            if not follow:
                return
            newest = events[-1][0] + 1 if events else 0
            time.sleep(POLL_SECONDS)
            events = since(newest)
