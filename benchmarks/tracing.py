"""What traces cost a request: `python -m benchmarks.tracing`.

The app as benchmarks/app_against_template.py has it, three times side by side: without a collector, with the share of
requests that the infrastructure says (5 %), and with every request traced. The collector takes spans and drops them.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks import ours
from benchmarks.app_against_template import account, targets
from benchmarks.load import OTHER_CORE, Target, compare, median, options, ratios, require_wrk
from tests.app.servers import find, postgres, redis

KINDS = {"off": "", "5 %": "0.05", "all": "1"}


class _Sink(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def collector() -> Iterator[str]:
    """Its address; on the core that the servers are not on, as all of this process."""
    os.sched_setaffinity(0, {OTHER_CORE})
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def main() -> None:
    """Start everything, measure in turn, print the table, stop everything."""
    arguments = options(__doc__, seconds=3).parse_args()
    require_wrk()
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        work.chmod(0o755)
        _, owner = stack.enter_context(postgres())
        _, redis_url = stack.enter_context(redis(work))
        sink = stack.enter_context(collector())
        subprocess.run([find("psql"), owner, "-qc", "CREATE DATABASE app"], check=True)
        common = {"DATABASE_URL": owner.replace("/postgres", "/app"), "REDIS_URL": redis_url}
        rows: dict[str, dict[str, Target]] = {"indexed read": {}, "list of 20": {}, "cached read": {}}
        made = None
        for kind, share in KINDS.items():
            traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink, "OTEL_TRACES_SAMPLER_ARG": share} if share else {}
            for name, ttl in (("uncached", "0"), ("cached", "30")):
                url = stack.enter_context(
                    ours.running(work, name=f"{kind[:1]}-{name}", CACHE_TTL=ttl, **common, **traced)
                )
                made = made or account(url, "/api/v1/users/", "/api/v1/auth/token", {"display_name": "Ada"})
                mine = targets(url, "/api/v1/auth/token", made)
                if ttl == "0":
                    rows["indexed read"][kind], rows["list of 20"][kind] = mine["indexed read"], mine["list of 20"]
                else:
                    rows["cached read"][kind] = mine["indexed read"]
        found = compare(rows, arguments.rounds, arguments.seconds)
    print("\n| request | traced | req/s | of untraced (least to most) | us more | p99, ms |")
    print("|---|---|---|---|---|---|")
    for row, results in found.items():
        for kind in KINDS:
            denominator_metric = ratios(results[kind], results["off"])
            more = median([1e6 / a.rate - 1e6 / b.rate for a, b in zip(results[kind], results["off"], strict=True)])
            spread = (
                f"{median(denominator_metric):.0%} ({min(denominator_metric):.0%} to {max(denominator_metric):.0%})"
            )
            rate, p99 = median([r.rate for r in results[kind]]), median([r.p99 for r in results[kind]])
            print(f"| {row} | {kind} | {rate:.0f} | {spread} | {more:.0f} | {p99:.1f} |")


if __name__ == "__main__":
    main()
