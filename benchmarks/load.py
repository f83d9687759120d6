"""Load from wrk: one closed loop of requests on its own core, its result checked and read."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil

SERVER_CORE, OTHER_CORE = 0, 1  # the server alone on one; wrk, Postgres and Redis share the other
CONNECTIONS = 16
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}


def options(about: str | None, *, seconds: float) -> argparse.ArgumentParser:
    """How long a comparison measures, by its user's wish; `seconds` where he says nothing."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=seconds, help="of each measurement")
    return parser


@dataclass
class Target:
    """What one server is asked: requests of one kind, taken at random."""

    url: str
    paths: list[str]
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    settle: float = 0
    """Seconds that the server continues after its clients have left: hashes that no client waits for any more."""


@dataclass
class Result:
    """Requests a second, the 99th percentile of the latency in milliseconds, and the server's processor time of one
    request in microseconds, which other work on the machine changes least."""

    rate: float
    p99: float
    cpu: float


def require_wrk() -> None:
    """Install Debian's wrk where it is missing and this is root."""
    if shutil.which("wrk"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SystemExit("wrk is missing: as root, apt-get install wrk")
    print("Installing Debian's wrk", flush=True)
    subprocess.run(["apt-get", "install", "--yes", "-q", "wrk"], check=True, capture_output=True)


def run(target: Target, seconds: float) -> Result:
    """Ask for that long. Any answer but 2xx or 3xx ends the benchmark: a fast error is not speed."""
    quoted = [json.dumps(path) for path in target.paths]
    headers = "".join(f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}\n" for k, v in target.headers.items())
    script = (
        f"local paths = {{{', '.join(quoted)}}}\n"
        f"wrk.method = {json.dumps(target.method)}\n{headers}"
        f"wrk.body = {json.dumps(target.body) if target.body else 'nil'}\n"
        "math.randomseed(7)\n"
        "request = function() return wrk.format(nil, paths[math.random(#paths)]) end\n"
    )
    before = _processor_seconds(target.url)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requests.lua"
        file.write_text(script)
        command = ["taskset", "-c", str(OTHER_CORE), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s"]
        out = subprocess.run(
            [*command, "--timeout", "20s", "--latency", "-s", str(file), target.url],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    time.sleep(target.settle)
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(f"{target.method} {target.url}{target.paths[0]} did not answer as it should:\n{out}")
    rate, requests = re.search(r"Requests/sec:\s+([\d.]+)", out), re.search(r"(\d+) requests in", out)
    p99 = re.search(r"99%\s+([\d.]+)(\w+)", out)
    assert rate is not None, out
    assert p99 is not None, out
    assert requests is not None, out
    cpu = (_processor_seconds(target.url) - before) / max(1, int(requests[1])) * 1e6
    return Result(float(rate[1]), float(p99[1]) * UNITS[p99[2]], cpu)


def _processor_seconds(url: str) -> float:
    """What the processes that listen there have used so far."""
    port = urlsplit(url).port
    listening = {c.pid for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port}
    times = [psutil.Process(pid).cpu_times() for pid in listening if pid]
    return float(sum(time.user + time.system for time in times))


def compare(rows: dict[str, dict[str, Target]], rounds: int, seconds: float) -> dict[str, dict[str, list[Result]]]:
    """Every row's targets in turn, round after round, so that a change of the machine's speed meets all of them."""
    found: dict[str, dict[str, list[Result]]] = {row: {name: [] for name in targets} for row, targets in rows.items()}
    for number in range(rounds + 1):
        for row, targets in rows.items():
            for name, target in targets.items():
                result = run(target, seconds if number else 1)
                if number:  # the first round warms up
                    found[row][name].append(result)
                    print(
                        f"round {number}/{rounds}  {row:<20} {name:<12} {result.rate:9.1f} req/s {result.cpu:9.0f} us",
                        flush=True,
                    )
    return found


def median(values: list[float]) -> float:
    """The median."""
    return statistics.median(values)


def ratios(ours: list[Result], theirs: list[Result]) -> list[float]:
    """Of the rates, round by round; what answered nothing in time has none."""
    return [a.rate / b.rate if b.rate else math.inf for a, b in zip(ours, theirs, strict=True)]


def cpu_ratios(ours: list[Result], theirs: list[Result]) -> list[float]:
    """How many requests of ours have the processor time of one of theirs, round by round."""
    return [b.cpu / a.cpu for a, b in zip(ours, theirs, strict=True)]
