"""The release on a whole stack: what no small one has. One environment serves all tests of this file, in their order.

Each prints its figures (pytest -rP).
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from tests.local.clone import COMMAND_SECONDS, ROOT, Clone, cloned, docker_lines
from tests.local.conftest import until
from tests.local.load import Load

ADA = {"email": "ada@example.com", "display_name": "Ada", "password": "correct horse battery"}
JOBS_SECONDS = 180
STREAMING, SHORTER = '"streaming": DeployProfile(100, 105, 120)', '"streaming": DeployProfile(20, 30, 40)'
TICKS = 45
"""More than the 25 s until its task shuts down, fewer than the 30 s of grace that it then has beside them."""
AWAY_SECONDS = 20
BUSY_SECONDS = 0.0125
"""Of the event loop, that a request takes for itself: a full process, with its 100, is silent for 1.25 s at a time."""
SPIKE_CLIENTS, SPIKE_SECONDS = 400, 20
"""Without the limit a probe would wait for all of them, 5 s and more: longer than a load balancer does."""
ROUTES = f"""

import asyncio
import time
from starlette.responses import StreamingResponse

@app.get("/slow", include_in_schema=False)
async def slow() -> str:
    await asyncio.sleep(3)
    return "slow"

@app.get("/busy", include_in_schema=False)
async def busy() -> str:
    await asyncio.sleep(0)
    time.sleep({BUSY_SECONDS})
    return "busy"

@app.get("/ticks", include_in_schema=False)
async def ticks() -> StreamingResponse:
    async def each():
        for number in range({TICKS}):
            yield f"{{number}}\\n"
            await asyncio.sleep(1)
    return StreamingResponse(each(), media_type="text/event-stream")
"""
OWN = "-web-rollback"
"""The alarm that rolls the web back."""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (ROOT / "tests" / "app").is_dir(), reason="the reference app was removed"),
]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """Of the profile `streaming`, a fifth as long as it is, with an answer that outlives its deregistration delay."""
    with cloned(tmp_path_factory.mktemp("release")) as clone:
        levers, app = clone.root / "infra" / "slipway" / "config" / "constants.py", clone.root / "app" / "main.py"
        assert STREAMING in levers.read_text()
        levers.write_text(levers.read_text().replace(STREAMING, SHORTER))
        app.write_text(app.read_text() + ROUTES)
        stack = clone.root / "stacks" / "Pulumi.local.yaml"
        quick = stack.read_text()
        assert "deployProfile: quick" in quick
        stack.write_text(
            quick.replace("deployProfile: quick", "deployProfile: streaming")
            + "  environment: {EXPORTS_PER_HOUR: 1000}\n"
        )
        clone.slipway("up")
        yield clone


def configure(clone: Clone, *settings: str) -> None:
    clone.pulumi("config", "set", *settings)


@pytest.fixture(scope="module")
def api(clone: Clone) -> Iterator[httpx.Client]:
    """Somebody who is logged in."""
    host = urlsplit(clone.status()["url"])
    with httpx.Client(base_url=f"http://127.0.0.1:{host.port}", headers={"host": host.netloc}, timeout=60) as api:
        assert api.post("/api/v1/users/", json=ADA).status_code == 201
        form = {"username": ADA["email"], "password": ADA["password"]}
        api.headers["authorization"] = f"Bearer {api.post('/api/v1/auth/token', data=form).json()['access_token']}"
        yield api


def test_a_streaming_rollout_lets_long_answers_end_and_a_database_that_is_away_rolls_nothing_back(
    clone: Clone,
) -> None:
    """50 requests a second, one of 3 s always in flight, and an answer that its old task goes on with after SIGTERM."""
    outputs = json.loads(clone.pulumi("stack", "output", "--json"))
    host, service = urlsplit(outputs["url"]).netloc, outputs["services"]["web"]
    where = {"cluster": outputs["cluster"], "service": service}
    newest = lambda: clone.aws("ecs").list_service_deployments(**where)["serviceDeployments"][0]  # noqa: E731
    before = newest()["serviceDeploymentArn"]
    old = {task["id"] for task in clone.status()["tasks"]}
    (database,) = docker_lines("ps", "--quiet", *clone.store("rds"))
    configure(clone, "--path", "environment.DRAIN_SECONDS", "3")
    began = time.monotonic()
    with Load(clone.port, host, 50, "/livez", slow=50) as asked, ThreadPoolExecutor() as pool:
        up = pool.submit(clone.slipway, "up")
        until(lambda: newest()["serviceDeploymentArn"] != before or up.done(), 300)
        changed = time.monotonic() - began
        streamed = pool.submit(ticks, clone, host)
        docker_lines("stop", "--time", "2", database)
        time.sleep(AWAY_SECONDS)
        assert newest()["status"] == "IN_PROGRESS"
        docker_lines("start", database)
        told = up.result()
        complete = time.monotonic() - began
    assert asked.failed() == []
    assert streamed.result() == "".join(f"{number}\n" for number in range(TICKS))
    assert newest()["status"] == "SUCCESSFUL", told
    assert not old & {task["id"] for task in clone.status()["tasks"]}
    until(lambda: clone.get("/readyz")[0] == 200)
    assert "Nothing to change." in clone.slipway("up")
    print(f"streaming, database away: {asked.summary()}; changed {changed:.1f} s, complete {complete:.1f} s")  # noqa: T201


def ticks(clone: Clone, host: str) -> str:
    """A long answer, to its end."""
    with httpx.stream("GET", f"http://127.0.0.1:{clone.port}/ticks", headers={"host": host}, timeout=30) as answer:
        return "".join(answer.iter_text())


def test_a_load_over_capacity_is_refused_in_part_and_no_task_is_taken_for_dead(clone: Clone) -> None:
    """Clients that ask again as soon as they are answered, eight times as many as the tasks have room for."""
    before = {task["id"] for task in clone.status()["tasks"]}
    ecs, elb = clone.aws("ecs"), clone.aws("elbv2")
    (group,) = [g for g in elb.describe_target_groups()["TargetGroups"] if "-web-" in g["TargetGroupName"]]
    targets = elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    addresses = [target["Target"]["Id"] for target in targets]
    (cluster,) = ecs.list_clusters()["clusterArns"]
    (web,) = [arn for arn in ecs.list_services(cluster=cluster)["serviceArns"] if "-web-" in arn]
    told = lambda: len(ecs.describe_services(cluster=cluster, services=[web])["services"][0]["events"])  # noqa: E731
    events = told()
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(asyncio.run, storm(address)) for address in addresses]
        found = sum((one.result() for one in asked), Counter[str]())
    after = elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    assert {target["TargetHealth"]["State"] for target in after} == {"healthy"}
    assert {task["id"] for task in clone.status()["tasks"]} == before
    assert told() == events
    assert found["answered"] > 0
    assert found["refused"] > 0
    assert found["refused, later"] == found["refused"]
    assert clone.get("/readyz")[0] == 200
    print(f"a load over capacity: {dict(found)}")  # noqa: T201


async def storm(address: str) -> Counter[str]:
    """What came of it. The load balancer requests for the probes: here they would wait behind all these clients."""
    found = Counter[str]()
    until = time.monotonic() + SPIKE_SECONDS
    limits = httpx.Limits(max_connections=SPIKE_CLIENTS)
    async with httpx.AsyncClient(base_url=f"http://{address}:8000", limits=limits, timeout=60) as api:

        async def ask() -> None:
            while time.monotonic() < until:
                try:
                    answer = await api.get("/busy")
                except httpx.TransportError:  # of hundreds of connections to a full task some break
                    found["broken"] += 1
                    continue
                found["answered" if answer.status_code == 200 else "refused"] += 1
                found["refused, later"] += "retry-after" in answer.headers

        await asyncio.gather(*(ask() for _ in range(SPIKE_CLIENTS)))
    return found


def test_a_rollout_loses_no_job_and_each_has_its_effect_once(clone: Clone, api: httpx.Client) -> None:
    """With the profile `safe`, whose alarm looks back for five minutes: too long for a test."""
    configure(clone, "deployProfile", "safe")
    configure(clone, "--path", "environment.DRAIN_SECONDS", "4")  # a changed variable of every process
    ended = threading.Event()
    accepted: list[str] = []

    def ask() -> None:
        while not ended.wait(1):
            answer = api.post("/api/v1/items/exports")
            assert answer.status_code == 202, answer.text
            accepted.append(answer.headers["location"])

    def shorten() -> None:
        watch = clone.aws("cloudwatch")
        (alarm,) = until(lambda: [a for a in watch.describe_alarms()["MetricAlarms"] if OWN in a["AlarmName"]], 300)
        watch.put_metric_alarm(
            AlarmName=alarm["AlarmName"],
            Namespace="AWS/ApplicationELB",
            MetricName="HTTPCode_Target_5XX_Count",
            Statistic="Sum",
            Period=10,
            EvaluationPeriods=1,
            ComparisonOperator=alarm["ComparisonOperator"],
            Threshold=alarm["Threshold"],
            TreatMissingData="notBreaching",
        )

    with ThreadPoolExecutor() as pool:
        asking, watching = pool.submit(ask), pool.submit(shorten)
        try:
            clone.pulumi("up", "--yes", "--skip-preview")
        finally:
            ended.set()
        asking.result()
        watching.result()
    statuses: dict[str, str] = {}

    def done() -> bool:
        for location in accepted:
            if statuses.get(location) != "done":
                statuses[location] = api.get(location).json()["status"]
        return set(statuses.values()) == {"done"}

    until(done, JOBS_SECONDS)
    files = [key["Key"] for page in _pages(clone) for key in page.get("Contents", [])]
    for location in accepted:
        number = location.rpartition("/")[2]
        assert len([name for name in files if number in name]) == 1
    print(f"jobs: {len(accepted)} asked for during the rollout, all done")  # noqa: T201


def _pages(clone: Clone) -> Iterator[Any]:
    s3 = clone.aws("s3")
    bucket = next(b["Name"] for b in s3.list_buckets()["Buckets"] if "local-bucket" in b["Name"])
    yield from s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)


REVISION = '''"""A change of the tests."""
from alembic import op

revision = "{name}"
down_revision = "{after}"


def upgrade() -> None:
    {work}
'''


def revision(clone: Clone, name: str, after: str, work: str) -> None:
    path = clone.root / "app" / "migrations" / "versions" / f"{name}.py"
    path.write_text(REVISION.format(name=name, after=after, work=work))


def test_a_migration_that_is_killed_half_way_touches_no_service_and_the_next_up_goes_on(clone: Clone) -> None:
    configure(clone, "deployProfile", "fast")
    before = {task["id"] for task in clone.status()["tasks"]}
    revision(clone, "0002", "0001", "op.execute('ALTER TABLE items ADD COLUMN harbour text')")
    revision(clone, "0003", "0002", "op.execute('SELECT pg_sleep(60)')")
    up = clone.start("up")
    mine = ("--filter", f"label=slipway.emulator={clone.port}", "--filter", "name=-release-[0-9]+-release-")
    (migrating,) = until(lambda: docker_lines("ps", "--quiet", *mine), 300)
    until(lambda: "0002 -> 0003" in _logs(migrating), 120)
    docker_lines("kill", migrating)
    told = "".join(up.communicate(timeout=COMMAND_SECONDS))
    assert up.returncode == 1, told
    assert "release exited with 137" in told
    assert {task["id"] for task in clone.status()["tasks"]} == before
    revision(clone, "0003", "0002", "op.execute('ALTER TABLE items ADD COLUMN berth text')")
    told = clone.slipway("up")
    assert "Running upgrade 0002 -> 0003" in told
    assert "Running upgrade 0001 -> 0002" not in told  # it is done, and is not run again
    assert "ALTER" not in clone.slipway("migrate", "local", "--plan")
    assert "The release task succeeded." in clone.slipway("migrate", "local")


def _logs(container: str) -> str:
    done = subprocess.run(["docker", "logs", container], capture_output=True, text=True)
    return done.stdout + done.stderr


def test_a_rollback_over_a_rotation_serves_the_former_image_on_the_newer_schema(
    clone: Clone, api: httpx.Client
) -> None:
    """With new passwords and another signing key; who was logged in still is."""
    newest = clone.status()["tasks"][0]["image_digest"]
    configure(clone, "secretsGeneration", "2")
    told = clone.slipway("rollback", "local")
    assert "slipway rollback local --end" in told
    assert "THE SOURCES WERE NOT DEPLOYED" in told
    web_processes = {task["image_digest"] for task in clone.status()["tasks"]}
    assert newest not in web_processes
    assert len(web_processes) == 1
    assert clone.get("/readyz")[0] == 200
    assert api.get("/api/v1/users/me").json()["email"] == ADA["email"]
    rows = json.loads(clone.slipway("deployments", "local", "--json"))
    assert {rows[0]["result"], rows[1]["result"]} == {"SUCCESSFUL"}
    assert {rows[0]["digest"], rows[1]["digest"]} == web_processes
