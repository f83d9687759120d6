"""`slipway logs`: what a stack's processes write, in AWS and on this machine alike."""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import dataclass
from datetime import timedelta

from infra.errors import SlipwayError
from infra.pipeline.opened import local, opened

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class Wanted:
    """Which lines a person asks for."""

    processes: tuple[str, ...] = ()
    since: str = ""
    grep: str = ""
    lines: int = 100
    follow: bool = False


def show(stack: str, wanted: Wanted, *, base: str = "") -> None:
    """Print the lines, and go on when asked. Ctrl-C, or who reads no more (`| head`), is the end and no error."""
    try:
        _show(stack, wanted, base)
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Python would complain once more, of what it could not write at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show(stack: str, wanted: Wanted, base: str) -> None:
    from infra.local import logs as machine
    from infra.local.session import STACK
    from infra.release.log_events import Logs
    from infra.release.log_lines import Printer

    if stack in machine.FILES:
        machine.show(stack, lines=wanted.lines, follow=wanted.follow)
        return
    back = seconds(wanted.since) if wanted.since else 0
    failed = machine.last_words(wanted.lines) if stack == STACK else []
    if failed:
        sys.stdout.write("\n".join(failed) + "\n")
        return
    local(base)
    found = opened(stack)
    groups = dict(found.outputs["logGroups"])
    if wanted.processes:  # what watches the stack is shown to who asks for it
        groups |= found.outputs.get("monitoring", {}).get("logGroups", {})
    logs = Logs(found.aws, groups, wanted.processes, wanted.grep)
    printer = Printer(sys.stdout, [*groups])
    now = time.time()
    if not back:
        printer.show(logs.last(wanted.lines))
    elif not wanted.follow:
        printer.show(logs.since(now - back))
    if wanted.follow:
        for events in logs.follow(now - back if back else None):
            printer.show(events)


def seconds(text: str) -> float:
    """`90s`, `15m`, `2h`, `3d`, `1w` in seconds. Raises `SlipwayError` for anything else."""
    found = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip())
    if not found:
        raise SlipwayError(f"--since is {text!r}.", "Write a number and a unit: 90s, 15m, 2h, 3d or 1w.")
    return timedelta(**{UNITS[found[2]]: int(found[1])}).total_seconds()
