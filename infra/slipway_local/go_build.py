"""Programs that are built here from their Go modules, where they cannot be had ready made."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from slipway.config.errors import SlipwayError
from slipway.config.project import packaged_path, run_dir
from slipway_local.paths import cache_dir
from slipway_local.step_timer import console, run_command

TOOLS = packaged_path("tools")
"""A folder for each, with the go.mod and go.sum of its build."""
HIGH_PRIORITY_COMMAND = ("nice", "-n", "-10")
COMPILER_ENV = {"GOGC": "off", "GOMEMLIMIT": "1500MiB"}
"""For the compiler itself, which then collects no garbage below that: without it and what debuggers read, a fifth less
processor time (grpc's packages, 50 to 40 s)."""


def build_binary(
    name: str,
    package: str,
    target: Path,
    *,
    options: Sequence[str],
    alternative: str,
    static: bool = False,
    high_priority: bool = False,
) -> None:
    """Builds `package`, as tools/`name` pins it, into `target`; `alternative`: the fix without Go.

    `static`: without the system's C library, for an image that may have another. `high_priority`: with a lower nice
    value, if this user may set one.
    """
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not go:
        raise SlipwayError(f"{name} cannot be downloaded, and Go is not installed to build it.", alternative)
    target.parent.mkdir(parents=True, exist_ok=True)
    run_command(
        [
            *(HIGH_PRIORITY_COMMAND if high_priority else ()),
            go,
            "build",
            "-mod=readonly",
            "-gcflags=all=-dwarf=false",
            *options,
            "-o",
            str(target),
            package,
        ],
        f"Building {name} failed",
        log=run_dir() / "log" / f"{name}-build.log",
        cwd=TOOLS / name,
        env=os.environ | COMPILER_ENV | ({"CGO_ENABLED": "0"} if static else {}),
    )


@contextmanager
def hold_build_lock(name: str) -> Iterator[None]:
    """Two clones must not build at once; the kernel releases the lock with the process."""
    with (cache_dir() / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"  Another process is getting {name} right now: waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
