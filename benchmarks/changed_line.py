"""Seconds from one changed line to new code that serves, and to a release that is complete, on this machine.

    .venv/bin/python -m benchmarks.changed_line [--times 3] [--lines]

Works in a copy of the repository with its own port and state, which is taken down at the end: what is deployed here
stays. `--lines` prints what `slipway up` says, with the second at which it said it: where the time goes.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.local.clone import Clone, cloned

ROUTE = '\n\n@app.get("/changed", include_in_schema=False)\nasync def changed() -> str:\n    return "{}"\n'


def release(clone: Clone, url: str, number: int, lines: bool) -> tuple[float, float]:
    """Change the line, run `slipway up`; seconds to the first new answer and to the end."""
    began = time.monotonic()
    up = subprocess.Popen(
        [sys.executable, "-um", "slipway.cli.main", "up"],
        cwd=clone.root,
        env=clone.env | {"PYTHONUNBUFFERED": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    told: list[str] = []

    def listen() -> None:
        for line in up.stdout or ():
            told.append(f"{time.monotonic() - began:6.1f}  {line.rstrip()}")

    listener = threading.Thread(target=listen)
    listener.start()
    serving = 0.0
    while up.poll() is None:
        if not serving and clone.get("/changed", url) == (200, f'"{number}"'):
            serving = time.monotonic() - began
        time.sleep(0.1)
    complete = time.monotonic() - began
    listener.join()
    if up.returncode or not serving:
        raise SystemExit("\n".join(["The new line does not serve:", *told]))
    if lines:
        print("\n".join(told), flush=True)
    return serving, complete


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3, help="how many changes to time (default 3)")
    parser.add_argument("--lines", action="store_true", help="print what `up` says, and when")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, cloned(Path(folder) / "slipway") as clone:
        clone.slipway("up")
        url, path = clone.status()["url"], clone.root / "app" / "main.py"
        before, found = path.read_text(), []
        for number in range(options.times):
            path.write_text(before + ROUTE.format(number))
            found.append(release(clone, url, number, options.lines))
    for what, times in zip(("new code serves", "complete"), zip(*found, strict=True), strict=True):
        print(
            f"{what:<16} {statistics.median(times):5.1f} s  ({min(times):.1f} to {max(times):.1f}, {len(times)} runs)"
        )


if __name__ == "__main__":
    main()
