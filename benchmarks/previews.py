"""Seconds of a preview's `create`, `update` and `destroy` on this machine, image given, and of a `reap` of many.

    .venv/bin/slipway up
    .venv/bin/python -m benchmarks.previews [--times 3] [--reap 20] [--steps]

Uses the stack `local` that is up, and a preview `pr-9001` of its own. An update changes a variable, so that another
revision is rolled out; to renew is an update without a change. Those that are reaped are stacks without
resources, each with a lifetime that is over: timed is looking at each, its database's task, the engine's destroy
and the search for leftovers. A database or a container of its own for each of twenty does not fit on a small machine.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time
from typing import Any

from benchmarks.local_stack import ROOT, SLIPWAY
from slipway.previews.identity import BASE_TAG, EXPIRES_TAG, KIND_TAG, NAME_TAG, PREVIEW_KIND
from slipway.previews.preview_stacks import ensure_project_folder, open_backend

ONE, MANY = "pr-9001", "pr-91{:02}"
VARIABLES = "DRAIN_SECONDS: 1"
"""In stacks/Pulumi.preview.yaml, which is changed for an update and put back."""
LONG_AGO = "2000-01-01T00:00:00+00:00"


def asked(*command: str, steps: bool = False) -> Any:
    """The answer of `slipway preview`, and the seconds that it took from its start to its end.

    `steps`: each line that it said before it was silent for a second and more is printed, with the time.
    """
    began = time.monotonic()
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}  # without questions
    process = subprocess.Popen([SLIPWAY, "preview", *command, "--json"], cwd=ROOT, text=True, **pipes)
    if process.stdout is None or process.stderr is None:
        raise AssertionError("they were asked for")
    said = [(0.0, "start")] + [(time.monotonic() - began, line.rstrip()) for line in process.stderr]
    answer, code = process.stdout.read(), process.wait()
    if code:
        words = "\n".join(line for _, line in said)
        sys.exit(f"slipway preview {' '.join(command)} ended with {code}:\n{words[-3000:]}")
    whole = time.monotonic() - began
    for (at, line), (after, _) in itertools.pairwise([*said, (whole, "")]) if steps else ():
        if after - at >= 1:
            print(f"    at {at:5.1f} s, then {after - at:4.1f} s silent: {line.strip()[:100]}", flush=True)
    return json.loads(answer) | {"whole": whole}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3, help="how often a preview is made, updated, renewed, destroyed")
    parser.add_argument("--reap", type=int, default=20, help="how many previews are reaped at once (default 20)")
    parser.add_argument("--steps", action="store_true", help="where the seconds of each command go")
    options = parser.parse_args()
    status = subprocess.run([SLIPWAY, "status", "--json"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    image, rows = ("--image", json.loads(status)["image_digest"]), dict[str, list[float]]()
    made: dict[str, Any] = {}
    file = ROOT / "stacks" / "Pulumi.preview.yaml"
    written = file.read_text()
    try:
        for number in range(options.times):
            for row, more in (
                ("create", ("--base", "local", *image)),
                ("update", image),
                ("renew", image),
                ("destroy", ()),
            ):
                what = "update" if row == "renew" else row
                if row == "update":  # another revision, with the same image
                    file.write_text(written.replace(VARIABLES, f"{VARIABLES}, RATE_LIMIT_PER_MINUTE: {700 + number}"))
                if options.steps:
                    print(row, flush=True)
                told = asked(what, ONE, *more, steps=options.steps)
                rows.setdefault(row, []).append(told["whole"])
                made = told if row == "create" else made
    finally:
        file.write_text(written)
    for what, found in rows.items():
        spread = f"({min(found):.1f} to {max(found):.1f}, {len(found)} runs)"
        print(f"{what:<12} {statistics.median(found):6.1f} s  {spread}", flush=True)
    if made:
        print(f"{made['resources']} resources, {made['usd_a_day']} USD a day", flush=True)
    engine = open_backend("local")
    for name in map(MANY.format, range(options.reap)):
        engine.ask("stack", "init", name, "--no-select", folder=ensure_project_folder(name))
        for key, value in {KIND_TAG: PREVIEW_KIND, BASE_TAG: "local", NAME_TAG: name, EXPIRES_TAG: LONG_AGO}.items():
            engine.ask("stack", "tag", "set", key, value, "--stack", name)
    if options.reap:
        done = asked("reap", "--base", "local")
        print(f"reap of {len(done['destroyed'])}: {done['whole']:.1f} s")


if __name__ == "__main__":
    main()
