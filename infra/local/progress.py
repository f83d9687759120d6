"""Long work shows what it does now, that it is alive, and what took how long."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from infra.errors import SlipwayError

console = Console(stderr=True, highlight=False, soft_wrap=True)
HEARTBEAT_SECONDS = 10
timings: list[tuple[str, float]] = []
"""Each finished step with its seconds, in order, for the summary at the end."""


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Announce a step, say that it is alive every 10 s, and print its seconds at the end."""
    start, done = time.monotonic(), threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            console.print(f"  [dim]… {title}: {time.monotonic() - start:.0f} s[/dim]")

    console.print(f"[bold]▸[/bold] {title}")
    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    except BaseException:
        console.print(f"[red]✗[/red] {title} [dim]stopped after {time.monotonic() - start:.1f} s[/dim]")
        raise
    else:
        seconds = time.monotonic() - start
        timings.append((title, seconds))
        console.print(f"[green]✓[/green] {title} [dim]{seconds:.1f} s[/dim]")
    finally:
        done.set()


def run(
    command: Sequence[str],
    failure: str,
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    fix: str = "",
) -> None:
    """Run a command with its output in `log`; when it fails, raise with its last 20 lines."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, env=env, cwd=cwd).returncode
    if code:
        with log.open(errors="replace") as lines:
            tail = "".join(deque(lines, maxlen=20)).rstrip()
        raise SlipwayError(f"{failure} (exit {code}). Its last lines:\n{tail}", fix or f"All of it: {log}")
