"""Seconds of a preview's `create`, `update` and `destroy` on this machine, image given, and of a `reap` of many.

    .venv/bin/slipway up
    .venv/bin/python -m benchmarks.previews [--times 3] [--reap 20]

Uses the stack `local` that is up, and a preview `pr-9001` of its own. Those that are reaped are stacks without
resources, each with a lifetime that is over: timed is looking at each, its database's task, the engine's destroy
and the search for leftovers. A database or a container of its own for each of twenty does not fit on a small machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from typing import Any

from benchmarks.local_stack import ROOT, SLIPWAY
from infra.previews.engine import folder_of, open_engine
from infra.previews.guard import BASE, EXPIRES, KIND, NAME, PREVIEW

ONE, MANY = "pr-9001", "pr-91{:02}"
LONG_AGO = "2000-01-01T00:00:00+00:00"


def asked(*command: str) -> Any:
    """The answer of `slipway preview`, and the seconds that it took from its start to its end."""
    began = time.monotonic()
    done = subprocess.run([SLIPWAY, "preview", *command, "--json"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"slipway preview {' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout) | {"whole": time.monotonic() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3, help="how often a preview is made, updated, destroyed")
    parser.add_argument("--reap", type=int, default=20, help="how many previews are reaped at once (default 20)")
    options = parser.parse_args()
    told = subprocess.run([SLIPWAY, "status", "--json"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    image, rows = ("--image", json.loads(told)["image_digest"]), dict[str, list[float]]()
    made: dict[str, Any] = {}
    for _ in range(options.times):
        made = asked("create", ONE, "--base", "local", *image)
        rows.setdefault("create", []).append(made["whole"])
        rows.setdefault("update", []).append(asked("update", ONE, *image)["whole"])
        rows.setdefault("destroy", []).append(asked("destroy", ONE)["whole"])
    for what, found in rows.items():
        spread = f"({min(found):.1f} to {max(found):.1f}, {len(found)} runs)"
        print(f"{what:<12} {statistics.median(found):6.1f} s  {spread}", flush=True)
    if made:
        print(f"{made['resources']} resources, {made['usd_a_day']} USD a day", flush=True)
    engine = open_engine("local")
    for name in map(MANY.format, range(options.reap)):
        engine.ask("stack", "init", name, "--no-select", folder=folder_of(name))
        for key, value in {KIND: PREVIEW, BASE: "local", NAME: name, EXPIRES: LONG_AGO}.items():
            engine.ask("stack", "tag", "set", key, value, "--stack", name)
    if options.reap:
        done = asked("reap", "--base", "local")
        print(f"reap of {len(done['destroyed'])}: {done['whole']:.1f} s")


if __name__ == "__main__":
    main()
