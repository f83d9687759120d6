"""Seconds of `slipway up`, a no-change `pulumi preview` and `slipway down` on this machine, everything cached.

    .venv/bin/python -m benchmarks.local_stack [--previews 5]

Brings the stack `local` up and takes it down; what was deployed before is gone afterwards.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from slipway_local.session import open_session

ROOT = Path(__file__).resolve().parents[1]
SLIPWAY = str(ROOT / ".venv" / "bin" / "slipway")
PREVIEW = ("preview", "--stack", "local", "--expect-no-changes", "--non-interactive")


def run(*command: str) -> None:
    session = open_session()
    if command[0] != SLIPWAY:
        command = (str(session.toolchain.pulumi), *command)
    done = subprocess.run(command, cwd=ROOT, env=session.environ(), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def seconds(work: Callable[[], None]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--previews", type=int, default=5, help="how many previews to time (default 5)")
    previews = parser.parse_args().previews
    run(SLIPWAY, "up")  # whatever is not cached yet
    run(SLIPWAY, "down")
    rows = [("up, nothing deployed, all cached", [seconds(lambda: run(SLIPWAY, "up"))])]
    rows.append(("up, nothing to change", [seconds(lambda: run(SLIPWAY, "up"))]))
    rows.append(("pulumi preview, no change", [seconds(lambda: run(*PREVIEW)) for _ in range(previews)]))
    rows.append(("down", [seconds(lambda: run(SLIPWAY, "down"))]))
    for what, found in rows:
        print(
            f"{what:<34} {statistics.median(found):6.1f} s  ({min(found):.1f} to {max(found):.1f}, {len(found)} runs)"
        )


if __name__ == "__main__":
    main()
