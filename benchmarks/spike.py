"""What a load over capacity does to two web tasks of a stack on this machine, and what is left of it afterwards.

    .venv/bin/python -m benchmarks.spike [--seconds 90] [--connections 400]

Works in a copy of the repository with its own port and state, which is taken down at the end. wrk asks each web task
for a list of 20 items, with more connections than a task answers at once, each of which asks again as soon as it is
answered, refused or not; it goes past the load balancer, for the local one lets 64 requests through at a time.
Meanwhile the local AWS checks tasks as AWS does, and one user continues through the load balancer. A task that is
replaced, a target that falls, or a refusal without Retry-After ends it with 1.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx

from benchmarks.load import require_wrk
from slipway.config import constants
from tests.local.clone import Clone, cloned

CAPACITY_CONNECTIONS, CAPACITY_SECONDS = 8, 15
ORDINARY_SECONDS = 20
PROBE_SECONDS = 30
"""Longer than a load balancer's patience: a probe that took as long was not answered, or not with 200."""
PATH = "/api/v1/items/?limit=20"
ADA = {"email": "ada@example.com", "display_name": "Ada", "password": "correct horse battery"}
LIMITS = "  environment: {RATE_LIMIT_PER_MINUTE: 1000000000}\n"
WRK = """
wrk.headers["Authorization"] = "%s"
answered, refused, with_header, other = 0, 0, 0, 0
local threads = {}
function setup(thread) table.insert(threads, thread) end
function response(status, headers)
  if status == 200 then answered = answered + 1
  elseif status == 503 then
    refused = refused + 1
    for name in pairs(headers) do if name:lower() == "retry-after" then with_header = with_header + 1 end end
  else other = other + 1 end
end
function done(summary)
  local errors, mine = summary.errors, threads[1]
  print(string.format("COUNTED %%d %%d %%d %%d %%d %%f", mine:get("answered"), mine:get("refused"),
    mine:get("with_header"), mine:get("other"), errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6))
end
"""


@dataclass
class Counted:
    """What came back, for each task."""

    answered: int
    refused: int
    with_header: int
    """Refused with Retry-After."""
    other: int
    broken: int
    """Connections that failed, and time-outs."""
    seconds: float


class Site:
    """The stack's web tasks, and who looks at them."""

    def __init__(self, clone: Clone) -> None:
        self.clone, self.url = clone, clone.status()["url"]
        parts = urlsplit(self.url)
        host = {"host": parts.netloc}
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{parts.port}", headers=host, timeout=60)
        assert self.api.post("/api/v1/users/", json=ADA).status_code == 201
        form = {"username": ADA["email"], "password": ADA["password"]}
        self.token = f"Bearer {self.api.post('/api/v1/auth/token', data=form).json()['access_token']}"
        self.api.headers["authorization"] = self.token
        for number in range(40):
            assert self.api.post("/api/v1/items/", json={"title": f"Item {number}"}).status_code == 201

    def tasks(self) -> dict[str, str]:
        """Web task -> its address."""
        ecs, elb = self.clone.aws("ecs"), self.clone.aws("elbv2")
        serving = {each["Target"]["Id"] for each in self._health(elb)}
        (cluster,) = ecs.list_clusters()["clusterArns"]
        found = ecs.describe_tasks(cluster=cluster, tasks=ecs.list_tasks(cluster=cluster)["taskArns"])["tasks"]
        addresses = {
            task["taskArn"].rpartition("/")[2]: detail["value"]
            for task in found
            for detail in task["attachments"][0]["details"]
            if detail["name"] == "privateIPv4Address"
        }
        return {task: address for task, address in addresses.items() if address in serving}

    @staticmethod
    def _health(elb: Any) -> list[Any]:
        (group,) = [each for each in elb.describe_target_groups()["TargetGroups"] if "-web-" in each["TargetGroupName"]]
        return list(elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"])

    def states(self) -> set[str]:
        """Of the load balancer's targets, and of the containers by their own checks."""
        found = {each["TargetHealth"]["State"] for each in self._health(self.clone.aws("elbv2"))}
        return found | {task["health"].lower() for task in self.clone.status()["tasks"] if task["health"] != "UNKNOWN"}

    def events(self) -> list[str]:
        """What ECS wrote of the web's service, the newest first."""
        ecs = self.clone.aws("ecs")
        (cluster,) = ecs.list_clusters()["clusterArns"]
        (web,) = [arn for arn in ecs.list_services(cluster=cluster)["serviceArns"] if "-web-" in arn]
        return [
            event["message"]
            for event in ecs.describe_services(cluster=cluster, services=[web])["services"][0]["events"]
        ]

    def asked(self, connections: int, seconds: float) -> list[Counted]:
        """Every task at once, each by a wrk of its own."""
        with ThreadPoolExecutor() as pool, tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "spike.lua"
            script.write_text(WRK % self.token)

            def one(address: str) -> Counted:
                command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s", "-s", str(script)]
                out = subprocess.run([*command, f"http://{address}:8000{PATH}"], capture_output=True, text=True)
                found = re.search(r"COUNTED (\d+) (\d+) (\d+) (\d+) (\d+) ([\d.]+)", out.stdout)
                assert found, out.stdout + out.stderr
                *counts, took = found.groups()
                return Counted(*map(int, counts), float(took))

            return list(pool.map(one, self.tasks().values()))

    def ordinary(self, ended: threading.Event, most: float) -> tuple[list[int], list[float]]:
        """One user through the load balancer, ten times a second at most: statuses, and seconds of each answer."""
        statuses, took = [], []
        until = time.monotonic() + most
        while time.monotonic() < until and not ended.wait(0.1):
            began = time.monotonic()
            try:
                statuses.append(self.api.get(PATH).status_code)
            except httpx.TransportError:
                statuses.append(0)
            took.append(time.monotonic() - began)
        return statuses, took

    def probes(self, ended: threading.Event) -> tuple[list[float], set[str]]:
        """What each task's readiness takes, as the load balancer asks for it, and all states that were seen."""
        took, seen = list[float](), set[str]()
        while not ended.wait(1):
            for address in self.tasks().values():
                began = time.monotonic()
                try:
                    ready = httpx.get(f"http://{address}:8000/readyz", timeout=PROBE_SECONDS).status_code == 200
                except httpx.TransportError:
                    ready = False
                took.append(time.monotonic() - began if ready else PROBE_SECONDS)
            seen |= self.states()
        return took, seen


def p95(values: list[float]) -> str:
    """In milliseconds."""
    return f"{sorted(values)[int(len(values) * 0.95)] * 1000:.0f} ms"


def row(what: str, *found: object) -> None:
    print(f"{what:<44} {' '.join(map(str, found))}", flush=True)


def shares(statuses: list[int]) -> str:
    return ", ".join(f"{statuses.count(code)} x {code}" for code in sorted(set(statuses)))


def spike(site: Site, seconds: float, connections: int) -> Iterator[str]:
    """Run it, print what came of it; yields what is not as it should be."""
    before, told_before = site.tasks(), site.events()
    statuses, took = site.ordinary(threading.Event(), ORDINARY_SECONDS)
    row("a user before: p95, answers", p95(took), f"({shares(statuses)})")
    able = sum(found.answered / found.seconds for found in site.asked(CAPACITY_CONNECTIONS, CAPACITY_SECONDS))
    row("two tasks can answer", f"{able:.0f} a second")
    ended = threading.Event()
    with ThreadPoolExecutor() as pool:
        looking, user = pool.submit(site.probes, ended), pool.submit(site.ordinary, ended, seconds)
        try:
            found = site.asked(connections, seconds)
        finally:
            ended.set()
        (probed, seen), (statuses, took) = looking.result(), user.result()
    greater_than = time.monotonic()
    asked = sum((each.answered + each.refused + each.other) / each.seconds for each in found)
    row(f"asked for {seconds:g} s", f"{asked:.0f} a second, {connections} connections for each task")
    row("answered", f"{sum(each.answered / each.seconds for each in found):.0f} a second")
    refused, with_header = sum(each.refused for each in found), sum(each.with_header for each in found)
    row("refused with 503, of them with Retry-After", refused, with_header)
    row("other answers, broken connections", sum(each.other for each in found), sum(each.broken for each in found))
    row("a user meanwhile: p95, answers", p95(took), f"({shares(statuses)})")
    row("readiness meanwhile: p95, longest", p95(probed), f"{max(probed):.2f} s of {len(probed)} probes")
    row("states of targets and containers meanwhile", sorted(seen))
    statuses, took = site.ordinary(threading.Event(), ORDINARY_SECONDS)
    row("a user after: p95, answers", p95(took), f"({shares(statuses)})")
    late = [number for number, code in enumerate(statuses) if code != 200]
    row("last answer to that user but 200", f"{0 if not late else late[-1] + 1} requests after the load's end")
    time.sleep(max(0.0, greater_than + 2 * constants.HEALTH_INTERVAL_SECONDS - time.monotonic()))
    after, new = site.tasks(), site.events()[: len(site.events()) - len(told_before)]
    row("tasks replaced, events of ECS", len(set(before) - set(after)), new)
    if set(before) != set(after) or new:
        yield f"tasks were replaced: {before} became {after}; {new}"
    if seen - {"healthy"}:
        yield f"a target or container was taken for {seen - {'healthy'}}"
    if with_header != refused or not refused:
        yield f"of {refused} refusals {with_header} had Retry-After"
    if late and late[-1] > len(statuses) / 2:
        yield "it does not recover"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=90, help="how long the spike lasts (default 90)")
    parser.add_argument(
        "--connections", type=int, default=400, help="to each task; it answers 100 at once (default 400)"
    )
    parser.add_argument("--in-flight", type=int, help="MAX_IN_FLIGHT of the tasks, to see what the limit is for")
    options = parser.parse_args()
    require_wrk()
    with tempfile.TemporaryDirectory() as folder, cloned(Path(folder) / "slipway") as clone:
        stack = clone.root / "stacks" / "Pulumi.local.yaml"
        more = f", MAX_IN_FLIGHT: {options.in_flight}" if options.in_flight else ""
        stack.write_text(stack.read_text() + LIMITS.replace("}", more + "}"))
        clone.slipway("up")
        wrong = list(spike(Site(clone), options.seconds, options.connections))
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
