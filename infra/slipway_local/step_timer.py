"""Long work shows what it does now, that it is alive, and what took how long."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

import psutil
from rich.markup import escape

from slipway.cli.console import stderr_console
from slipway.config.errors import SlipwayError

console = stderr_console
HEARTBEAT_SECONDS = 10
SLOW_HEARTBEAT_SECONDS = 30
"""How often a step says that it is alive: in its first minute, and from then on."""
step_timings: list[tuple[str, float]] = []
"""Each finished step with its seconds, in order, for the summary at the end."""

_thread_state = threading.local()
"""The step that this thread is in."""
_running_commands: set[subprocess.Popen[bytes]] = set()


class _Step:
    """A line of its own, as long as no step inside it has one."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.start = time.monotonic()
        self.parent: _Step | None = getattr(_thread_state, "step", None)
        self.active_children = 0
        self.detail = ""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Announce a step, say now and then that it is alive, and print its seconds at the end.

    Of steps inside each other only the innermost says that it is alive. What makes a step fail has to be raised inside
    it, or it is ticked.
    """
    current = _Step(title)
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS if current.seconds < 60 else SLOW_HEARTBEAT_SECONDS):
            if not current.active_children:
                detail = f", {current.detail}" if current.detail else ""
                console.print(f"  [dim]… {title}: {current.seconds:.0f} s{escape(detail)}[/dim]")

    console.print(f"[bold]▸[/bold] {title}")
    if current.parent:
        current.parent.active_children += 1
    _thread_state.step = current
    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    except BaseException:
        console.print(f"[red]✗[/red] {title} [dim]stopped after {current.seconds:.1f} s[/dim]")
        raise
    else:
        step_timings.append((title, current.seconds))
        console.print(f"[green]✓[/green] {title} [dim]{current.seconds:.1f} s[/dim]")
    finally:
        done.set()
        _thread_state.step = current.parent
        if current.parent:
            current.parent.active_children -= 1


def describe_step(detail: str) -> None:
    """Sets what this thread's step is doing now, which its next line says."""
    current: _Step | None = getattr(_thread_state, "step", None)
    if current:
        current.detail = detail


def run_in_parallel(*lanes: Callable[[], None]) -> None:
    """Do several things at once. The first that fails ends the commands of the others, and is raised."""
    with ThreadPoolExecutor(len(lanes)) as pool:
        try:
            ended, _ = wait([pool.submit(lane) for lane in lanes], return_when=FIRST_EXCEPTION)
            failures = [error for lane in ended if (error := lane.exception())]
        except KeyboardInterrupt as interrupt:
            failures = [interrupt]
        if failures:
            _terminate_commands()
            raise failures[0]


def run_command(
    command: Sequence[str],
    failure: str,
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    fix: str = "",
) -> None:
    """Runs a command with its output in `log`; when it fails, raise with its last 20 lines."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w") as out,
        subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=env, cwd=cwd) as process,
    ):
        _running_commands.add(process)
        try:
            code = process.wait()
        finally:
            _running_commands.discard(process)
    if code:
        with log.open(errors="replace") as lines:
            tail = "".join(deque(lines, maxlen=20)).rstrip()
        raise SlipwayError(f"{failure} (exit {code}). Its last lines:\n{tail}", fix or f"All of it: {log}")


def _terminate_commands() -> None:
    for command in list(_running_commands):
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(command.pid)
            for each in [*process.children(recursive=True), process]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.terminate()
