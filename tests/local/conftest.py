"""A local AWS of the tests' own: the emulator on a free port, beside whatever else runs here."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

import docker
from slipway.release.aws_session import AwsSession, create_aws_session
from slipway_local.base_images import ensure_base_image
from slipway_local.docker_engine import ensure_docker, stop_managed_docker
from slipway_local.emulator import process
from tests.local.clone import Clone, cloned
from tests.local.engine_stack import Stack
from tests.ports import free_port

BASE_IMAGE = "python:3.11-slim"
MANUAL_PROCESS = """
  backfill:
    command: python -c "import os; print('filled', os.environ['REDIS_PORT'])"
    manual: true
    needs: [cache]
"""
OFF_HOURS = '{stop: "0 20 * * 1-5", start: "0 7 * * 1-5", zone: Europe/Berlin}'


def pytest_configure() -> None:
    """A run that is told to end takes down what it started, as one that is interrupted does."""
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", returncode=143))
    # A shell without job control starts this deaf to Ctrl-C, and the commands that it starts would be so too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[process.Emulator]:
    """A running emulator, stopped at the end with everything that it made."""
    before = dict(os.environ)  # a session leaves in it what is its own
    os.environ["SLIPWAY_RUN_DIR"] = str(tmp_path_factory.mktemp("run"))
    engine = ensure_docker()
    ensure_base_image(BASE_IMAGE)
    port = free_port()
    running = process.start_emulator(port, engine.bridge_address)
    os.environ["AWS_ENDPOINT_URL"] = running.endpoint
    try:
        yield running
    finally:
        process.stop_emulator()
        stop_managed_docker()
        for key in set(os.environ) - set(before):
            del os.environ[key]
        os.environ.update(before)


@pytest.fixture(scope="module")
def aws(emulator: process.Emulator) -> Callable[[str], Any]:
    """A boto3 client of a service."""

    def client(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=emulator.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - the local AWS takes any
        )

    return client


@pytest.fixture(scope="module")
def engine(emulator: process.Emulator) -> Any:
    """The Docker engine's client."""
    return docker.from_env()


@contextmanager
def a_stack(emulator: process.Emulator, folder: Path) -> Iterator[Stack]:
    """A project of its own on the running emulator, destroyed at the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIPWAY_PORT", str(emulator.port))
        stack = Stack(folder)
        yield stack
        stack.run("destroy", "--yes", "--skip-preview", "--stack", "probe")


@pytest.fixture
def stack(emulator: process.Emulator, tmp_path: Path) -> Iterator[Stack]:
    """For one test."""
    with a_stack(emulator, tmp_path) as stack:
        yield stack


@pytest.fixture(scope="module")
def shared_stack(emulator: process.Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """For tests of a file that go on from what the former has left: to make one takes longer than to look at it."""
    with a_stack(emulator, tmp_path_factory.mktemp("shared")) as stack:
        yield stack


@pytest.fixture(scope="session")
def everyday(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """The reference app with a manual process and off-hours: one environment for all tests of everyday commands.

    Each test file leaves it healthy, with the number of tasks that its stack file has.
    """
    with cloned(tmp_path_factory.mktemp("everyday") / "slipway") as clone:
        app, stack = clone.root / "stacks" / "app.yaml", clone.root / "stacks" / "Pulumi.local.yaml"
        app.write_text(app.read_text().replace("\nrelease:", f"{MANUAL_PROCESS}\nrelease:", 1))
        settings = stack.read_text()
        assert "natGateways: none\n" in settings  # off-hours tasks need a way to AWS's services
        stack.write_text(settings.replace("natGateways: none\n", f"natGateways: one\n  offHours: {OFF_HOURS}\n"))
        clone.slipway("up")
        yield clone


@pytest.fixture(scope="module")
def local(emulator: process.Emulator) -> AwsSession:
    """The same, as the release has it."""
    return create_aws_session({"region": "us-east-1", "accessKey": "test", "secretKey": "test"})


@pytest.fixture
def site(aws: Callable[[str], Any], emulator: process.Emulator) -> Iterator[Any]:
    """A load balancer of the test's own; its service is removed at the end."""
    from tests.local.site import Site

    site = Site(aws, emulator)
    yield site
    site.remove()


def until(done: Callable[[], Any], seconds: float = 300) -> Any:
    """Ask until the answer is true, and return it. The longer an answer takes, the less often it is asked for."""
    deadline = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        answer = done()
        if answer:
            return answer
        now = time.monotonic()
        assert now < deadline, "it did not come about"
        time.sleep(max(0.2, 2 * (now - asked)))


def source(name: str) -> str:
    """A small program of the tests, for `python -c` in a container."""
    return (Path(__file__).parent / "programs" / name).read_text()
