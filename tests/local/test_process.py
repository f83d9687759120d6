"""A local AWS that runs is never thrown away because it does not answer, and never mixed up with another."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra.errors import SlipwayError
from infra.local.emulator import process
from infra.local.session import emulator_port
from tests.local.clone import docker_lines
from tests.local.conftest import until
from tests.local.site import Site

PORT = 4799


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """This clone's emulator, that runs and does not answer."""
    monkeypatch.setenv("SLIPWAY_RUN_DIR", str(tmp_path))
    monkeypatch.delenv("SLIPWAY_PORT", raising=False)
    monkeypatch.setattr(process, "PATIENCE_SECONDS", 1)
    program = "import time; time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program, "infra.local.emulator"]) as running:
        (tmp_path / "emulator.pid").write_text(f"{running.pid} {PORT}\n")
        try:
            until(process.recorded)  # it has become what its command says
            yield running
        finally:
            running.kill()


def test_no_answer_is_not_taken_for_gone(silent: subprocess.Popen[bytes]) -> None:
    with pytest.raises(SlipwayError, match="nothing was stopped or changed") as told:
        process.start(PORT, "127.0.0.1")
    assert f"kill -CONT {silent.pid}" in told.value.fix
    assert silent.poll() is None
    assert process.recorded()


def test_another_port_does_not_end_the_one_that_runs(silent: subprocess.Popen[bytes]) -> None:
    with pytest.raises(SlipwayError, match=f"runs on port {PORT}, and SLIPWAY_PORT asks for 4800"):
        process.start(4800, "127.0.0.1")
    assert silent.poll() is None


def test_a_command_without_a_port_speaks_to_the_one_that_runs(
    silent: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert emulator_port() == PORT
    monkeypatch.setenv("SLIPWAY_PORT", "4801")
    assert emulator_port() == 4801


def test_a_proxy_of_the_shell_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as proxy:
        proxy.bind(("127.0.0.1", 0))
        proxy.listen()
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        assert not process.answers(process.Emulator(0, PORT))  # nobody listens there
        proxy.settimeout(0.2)
        with pytest.raises(TimeoutError):
            proxy.accept()


@pytest.mark.e2e
def test_one_that_is_told_to_end_leaves_no_container_though_its_services_want_some(
    emulator: process.Emulator, aws: Callable[[str], Any]
) -> None:
    site = Site(aws, emulator)
    site.serve(site.define(), count=3)
    mine = ("ps", "--all", "--quiet", "--filter", f"label=slipway.emulator={emulator.port}")
    until(lambda: len(docker_lines(*mine)) == 3)
    told = psutil.Process(emulator.pid)
    told.terminate()
    told.wait(60)
    assert docker_lines(*mine) == []
