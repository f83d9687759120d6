"""Jobs on SQS and files on S3: every job ends done or as a dead letter, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TextIO

import boto3
import psutil
import pytest
from prometheus_client import REGISTRY

from app.core.settings import Settings
from app.jobs.exports import export as export_job
from app.jobs.files import REQUEST_SECONDS, BucketFiles, FilesUnavailableError
from app.jobs.sender import CelerySender
from app.migrate import upgrade
from tests.app.conftest import KEY, Running, User, copy_of_the_app, new_database, register
from tests.app.servers import Gate, Server, aws
from tests.app.test_production import ROOT, environment
from tests.app.test_protection import Agent

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
SECONDS = 300  # at most; on an idle machine a job ends within two
TRIES = 2


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, aws(tmp_path_factory.mktemp("aws")) as address:
        for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": address}).items():
            patch.setenv(name, value)
        yield address


def make_queue(**attributes: str) -> tuple[str, str]:
    """A queue and its dead-letter queue."""
    sqs = boto3.client("sqs")
    dead = sqs.create_queue(QueueName=f"dead-{uuid.uuid4().hex}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": TRIES})
    given = {"VisibilityTimeout": "900", "RedrivePolicy": redrive, **attributes}
    given = {name: value for name, value in given.items() if value}
    return sqs.create_queue(QueueName=f"q-{uuid.uuid4().hex}", Attributes=given)["QueueUrl"], dead


def settings_for(**values: Any) -> Settings:
    bucket = f"b-{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return Settings(_env_file=None, secret_key=KEY, exports_bucket=bucket, **values)  # type: ignore[arg-type]


async def read(files: BucketFiles, export_id: uuid.UUID) -> bytes | None:
    file = await files.open(export_id)
    return None if file is None else b"".join([part async for part in file.chunks])


async def test_a_file_is_kept_replaced_and_read_in_parts(endpoint: str) -> None:
    files, export_id = BucketFiles(settings_for(), REQUEST_SECONDS), uuid.uuid4()
    assert await read(files, export_id) is None
    await files.put(export_id, io.BytesIO(b"one"))
    large = os.urandom(300_000)
    await files.put(export_id, io.BytesIO(large))
    assert await read(files, export_id) == large
    file = await files.open(export_id)
    assert file is not None
    assert file.size == len(large)
    assert max([len(part) async for part in file.chunks]) < len(large) / 4


async def test_a_bucket_that_says_nothing_is_away_after_a_few_seconds(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(int(endpoint.rsplit(":", 1)[1]))
    await gate.hold()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{gate.port}")
    files = BucketFiles(Settings(_env_file=None, secret_key=KEY, exports_bucket="elsewhere"), seconds=0.5)
    with pytest.raises(FilesUnavailableError):
        await asyncio.wait_for(files.open(uuid.uuid4()), SECONDS)
    await gate.shut()
    with pytest.raises(FilesUnavailableError):
        await asyncio.wait_for(files.open(uuid.uuid4()), SECONDS)


class World:
    """An app, a worker as its command starts it, and gates on the worker's ways to S3 and to Postgres."""

    def __init__(self, settings: Settings, user: User, dead: str, log: Path) -> None:
        self.settings, self.user, self.dead, self.log = settings, user, dead, log

    s3: Gate
    postgres: Gate
    worker: subprocess.Popen[bytes]
    folder: Path = ROOT

    @asynccontextmanager
    async def working(self, **more: str) -> AsyncIterator[None]:
        """The worker's own command, until the block ends."""
        command = [sys.executable, "-m", "celery", "-A", "app.jobs.worker", "worker", "--concurrency", "1"]
        variables = environment(
            PYTHONPATH=str(self.folder),
            DATABASE_URL=self.settings.url.set(port=self.postgres.port).render_as_string(hide_password=False),
            JOBS_QUEUE_URL=str(self.settings.jobs_queue_url),
            EXPORTS_BUCKET=str(self.settings.exports_bucket),
            AWS_ENDPOINT_URL=os.environ["AWS_ENDPOINT_URL"],
            AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{self.s3.port}",
            **CREDENTIALS,
            **more,
        )
        with self.log.open("a") as out:
            command += ["--without-mingle", "--without-gossip"]
            self.worker = self.spawn(command, variables, out)
        try:
            yield
        except BaseException as error:
            error.add_note(self.log.read_text())
            raise
        finally:
            await self.s3.open()
            self.worker.send_signal(signal.SIGTERM)
            await asyncio.to_thread(self.worker.wait, SECONDS)

    def spawn(self, command: list[str], variables: dict[str, str], out: TextIO) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, cwd=self.folder, env=variables, stdout=out, stderr=out)

    async def logs(self, text: str) -> None:
        for _ in range(SECONDS * 10):
            if text in self.log.read_text():
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"the worker does not say {text}")

    def kill_the_job(self) -> None:
        """As the kernel does when memory is short: the process that runs it, not its parent."""
        (child,) = psutil.Process(self.worker.pid).children()
        child.kill()

    async def start(self) -> str:
        answer = await self.user.request("POST", "/items/exports")
        return str(answer.headers["location"]).split("/api/v1", 1)[1]

    async def ends(self, path: str) -> str:
        deadline = time.monotonic() + SECONDS
        while (status := (await self.user.get(path)).json()["status"]) not in ("done", "failed"):
            assert time.monotonic() < deadline, f"the export is {status} for ever"
            await asyncio.sleep(0.1)
        return str(status)

    async def counts(self, url: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        sqs: Any = boto3.client("sqs")
        found = await asyncio.to_thread(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=names)
        return sum(int(found["Attributes"][name]) for name in names)

    async def settled(self, *, dead: int) -> None:
        """Wait until no message is in the queue; so many are dead letters then."""
        deadline = time.monotonic() + SECONDS
        while await self.counts(str(self.settings.jobs_queue_url)):
            assert time.monotonic() < deadline, "a message is not acknowledged"
            await asyncio.sleep(0.2)
        assert await self.counts(self.dead) == dead


@pytest.fixture
async def world(endpoint: str, tmp_path: Path, postgres_server: tuple[Server, str]) -> AsyncIterator[World]:
    queue, dead = make_queue()
    settings = settings_for(database_url=await new_database(postgres_server[1]), jobs_queue_url=queue)
    await asyncio.to_thread(upgrade, settings)
    async with AsyncExitStack() as stack:
        user = await register(await Running(stack, settings).client())
        await user.item()
        made = World(settings, user, dead, tmp_path / "worker.log")
        made.s3, made.postgres = Gate(int(endpoint.rsplit(":", 1)[1])), Gate(postgres_server[0].port)
        await made.s3.open()
        await made.postgres.open()
        yield made
        await made.s3.shut()
        await made.postgres.shut()


async def test_an_export_goes_through_the_queue_into_the_bucket(world: World) -> None:
    path = await world.start()
    agent = Agent()
    async with world.working(ECS_AGENT_URI=f"http://127.0.0.1:{agent.server.server_port}/api/id"):
        assert await world.ends(path) == "done"
        await world.settled(dead=0)
    assert [state["ProtectionEnabled"] for _, state in agent.asked] == [True, False]
    assert "Lighthouse" in (await world.user.get(f"{path}/file")).text
    boto3.client("s3").delete_object(
        Bucket=str(world.settings.exports_bucket), Key=f"exports/{path.split('/')[-1]}.csv"
    )
    assert (await world.user.get(f"{path}/file")).status_code == 410
    (line,) = [json.loads(line) for line in world.log.read_text().splitlines() if '"job done"' in line]
    assert (line["job"], line["run"]) == ("export", 1)


async def test_a_job_whose_process_is_killed_is_done_all_the_same(world: World) -> None:
    await world.s3.hold()
    path = await world.start()
    async with world.working():
        await asyncio.wait_for(world.s3.waits.wait(), SECONDS)
        world.kill_the_job()
        await world.s3.open()
        assert await world.ends(path) == "done"
        await world.settled(dead=0)
    assert world.log.read_text().count('"job done"') == 1


async def test_a_job_whose_database_is_away_as_it_ends_is_done_all_the_same(world: World) -> None:
    await world.s3.hold()
    path = await world.start()
    async with world.working():
        await asyncio.wait_for(world.s3.waits.wait(), SECONDS)
        await world.postgres.shut()
        await world.s3.open()
        await world.logs('"job failed"')
        assert (await world.user.get(path)).json()["status"] == "running"
        await world.postgres.open()
        assert await world.ends(path) == "done"
        await world.settled(dead=0)


async def test_a_job_that_fails_for_good_is_a_dead_letter(world: World) -> None:
    await world.s3.shut()
    path = await world.start()
    async with world.working():
        assert await world.ends(path) == "failed"
        await world.settled(dead=1)
    assert world.log.read_text().count('"job failed"') == TRIES


async def test_a_job_that_kills_its_process_each_time_is_a_dead_letter(world: World) -> None:
    await world.s3.hold()
    await world.start()
    async with world.working():
        for _ in range(TRIES):
            world.s3.waits.clear()
            await asyncio.wait_for(world.s3.waits.wait(), SECONDS)
            world.kill_the_job()
        await world.settled(dead=1)


async def test_a_worker_that_is_told_to_stop_ends_its_job_first(world: World) -> None:
    await world.s3.hold()
    path = await world.start()
    async with world.working():
        await asyncio.wait_for(world.s3.waits.wait(), SECONDS)
        world.worker.send_signal(signal.SIGTERM)
        await asyncio.sleep(1)
        await world.s3.open()
        assert await asyncio.to_thread(world.worker.wait, SECONDS) == 0
    assert (await world.user.get(path)).json()["status"] == "done"
    await world.settled(dead=0)


JOB = '''
from app.jobs.job import JobContext, job


@job()
async def greet(run: JobContext, path: str, *, name: str) -> None:
    """Greet somebody."""
    with open(path, "a") as file:
        file.write(f"Good day, {name}")
'''


async def test_a_job_is_one_file_of_its_own(world: World, tmp_path: Path) -> None:
    world.folder = tmp_path / "tree"
    copy_of_the_app(world.folder)
    (world.folder / "app" / "jobs" / "greet.py").write_text(JOB)
    send = f"""
import asyncio
from app.core.settings import get_settings
from app.jobs.greet import greet
from app.jobs.sender import make_sender

async def main() -> None:
    sender = make_sender(get_settings(), context=None)
    await sender.send(greet, {str(tmp_path / "greeting")!r}, name="Ada")
    await sender.close()

asyncio.run(main())
"""
    variables = environment(
        PYTHONPATH=str(world.folder),
        JOBS_QUEUE_URL=str(world.settings.jobs_queue_url),
        AWS_ENDPOINT_URL=os.environ["AWS_ENDPOINT_URL"],
        **CREDENTIALS,
    )
    sent = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", send],
        cwd=world.folder,
        env=variables,
        capture_output=True,
        text=True,
    )
    assert sent.returncode == 0, sent.stderr
    async with world.working():
        await world.settled(dead=0)
    assert (tmp_path / "greeting").read_text() == "Good day, Ada"


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"VisibilityTimeout": "630"}, "takes a worker for dead after 630 s, but a job may take 630 s"),
        ({"RedrivePolicy": ""}, "no redrive policy"),
    ],
)
async def test_a_worker_does_not_start_on_a_queue_that_would_lose_or_repeat_jobs(
    world: World, attributes: dict[str, str], reason: str
) -> None:
    world.settings.jobs_queue_url = make_queue(**attributes)[0]
    async with world.working():
        assert await asyncio.to_thread(world.worker.wait, SECONDS) != 0
    assert "The worker cannot start: the queue" in world.log.read_text()
    assert reason in world.log.read_text()
    assert "Traceback" not in world.log.read_text()


async def test_a_queue_that_is_away_is_counted_and_no_error(endpoint: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = settings_for(jobs_queue_url=make_queue()[0])
    boto3.client("sqs").delete_queue(QueueUrl=str(settings.jobs_queue_url))
    labels = {"job": "export", "outcome": "unsent"}
    before = REGISTRY.get_sample_value("jobs_total", labels) or 0
    sender = CelerySender(settings)
    await sender.send(export_job, uuid.uuid4())
    await sender.close()
    assert REGISTRY.get_sample_value("jobs_total", labels) == before + 1


async def test_a_queue_that_says_nothing_costs_a_request_a_few_seconds_at_most(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(jobs_queue_url=make_queue()[0])
    gate = Gate(int(endpoint.rsplit(":", 1)[1]))
    await gate.hold()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{gate.port}")
    sender = CelerySender(settings)
    await asyncio.wait_for(sender.send(export_job, uuid.uuid4()), 8)
    await gate.shut()
    await sender.close()
