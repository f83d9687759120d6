"""Programs that are built here from their Go modules, where they cannot be had ready made."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.errors import SlipwayError
from infra.local.paths import ROOT, cache_dir, run_dir
from infra.local.progress import console, run

TOOLS = ROOT / "tools"
"""A folder for each, with the go.mod and go.sum of its build."""
FIRST = ("nice", "-n", "-10")
QUICKLY = {"GOGC": "off", "GOMEMLIMIT": "1500MiB"}
"""For the compiler itself, which then collects no garbage below that: without it and what debuggers read, a fifth less
processor time (grpc's packages, 50 to 40 s)."""


def build(
    name: str,
    package: str,
    target: Path,
    *,
    options: Sequence[str],
    instead: str,
    static: bool = False,
    first: bool = False,
) -> None:
    """Build `package`, as tools/`name` pins it, into `target`; `instead` is what a person does who has no Go.

    `static`: without the system's C library, for an image that may have another. `first`: before what runs beside it,
    where this user may say so; `nice` goes on where not.
    """
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not go:
        raise SlipwayError(f"{name} cannot be had ready made, and there is no Go to build it with.", instead)
    target.parent.mkdir(parents=True, exist_ok=True)
    run(
        [
            *(FIRST if first else ()),
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
        env=os.environ | QUICKLY | ({"CGO_ENABLED": "0"} if static else {}),
    )


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Two clones must not build at once; the kernel releases the lock with the process."""
    with (cache_dir() / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"  Another process is getting {name} right now: waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
