"""What everything around an endpoint costs: `python -m benchmarks.middleware`.

One constant route, served by the production command with one worker on one core: in a bare FastAPI app, behind the
app's ASGI layer without and with its log line, in the whole app, and with the limiter in Redis.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import ours
from benchmarks.load import Target, compare, median, options, ratios, require_wrk
from tests.app.servers import redis

KINDS = {
    "bare": "a bare FastAPI app",
    "layer": "with the ASGI layer: ids, headers, limits, metrics",
    "logged": "and its JSON log line",
    "whole": "the whole app, no Redis call",
    "limited": "the whole app, limiter in Redis",
}
GOALS = {"whole": 0.85, "limited": 0.50}


def main() -> None:
    """Start all, measure in turn, print the table, stop all."""
    arguments = options(__doc__, seconds=3).parse_args()
    require_wrk()
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _, redis_url = stack.enter_context(redis(work))
        targets = {}
        for kind in KINDS:
            settings = {"REDIS_URL": redis_url, "DATABASE_URL": f"sqlite:///{work}/a.db", "CONSTANT_APP": kind}
            module = "benchmarks.constant:app"
            url = stack.enter_context(ours.running(work, module=module, name=kind, **settings))
            targets[kind] = Target(url, ["/constant"])
        found = compare({"constant": targets}, arguments.rounds, arguments.seconds)["constant"]
    print("\n| app | req/s | of bare (least to most) | goal | p99, ms |\n|---|---|---|---|---|")
    for kind, about in KINDS.items():
        share = ratios(found[kind], found["bare"])
        goal = f"{GOALS[kind]:.0%}" if kind in GOALS else ""
        spread = f"{median(share):.0%} ({min(share):.0%} to {max(share):.0%})"
        rate, p99 = median([r.rate for r in found[kind]]), median([r.p99 for r in found[kind]])
        print(f"| {about} | {rate:.0f} | {spread} | {goal} | {p99:.1f} |")


if __name__ == "__main__":
    main()
