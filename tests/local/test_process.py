"""A local AWS that runs is never thrown away because it does not answer, and never mixed up with another."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from slipway.config.errors import SlipwayError
from slipway_local import clean, ownership, session
from slipway_local.emulator import process
from slipway_local.provider.resource_type import ProviderContext, UnsupportedOperation
from slipway_local.session import emulator_port, open_session
from slipway_local.toolchain import Toolchain
from tests.local.clone import docker_lines
from tests.local.conftest import until
from tests.local.site import Site
from tests.ports import free_port

PORT = 4799


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """This clone's emulator, that runs and does not answer."""
    monkeypatch.setenv("SLIPWAY_RUN_DIR", str(tmp_path))
    monkeypatch.delenv("SLIPWAY_PORT", raising=False)
    monkeypatch.setattr(process, "UNRESPONSIVE_TIMEOUT_SECONDS", 1)
    program = "import time; time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program, "slipway_local.emulator"]) as running:
        (tmp_path / "emulator.pid").write_text(f"{running.pid} {PORT}\n")
        try:
            until(process.read_recorded_emulator)  # it has become what its command says
            yield running
        finally:
            running.kill()


def test_no_answer_is_not_taken_for_gone(silent: subprocess.Popen[bytes]) -> None:
    with pytest.raises(SlipwayError, match="nothing was stopped or changed") as told:
        process.start_emulator(PORT, "127.0.0.1")
    assert f"kill -CONT {silent.pid}" in told.value.fix
    assert silent.poll() is None
    assert process.read_recorded_emulator()


def test_another_port_does_not_end_the_one_that_runs(silent: subprocess.Popen[bytes]) -> None:
    with pytest.raises(SlipwayError, match=f"runs on port {PORT}, and SLIPWAY_PORT asks for 4800") as refusal:
        process.start_emulator(4800, "127.0.0.1")
    assert refusal.value.fix == (
        f"unset SLIPWAY_PORT; or SLIPWAY_PORT={PORT} slipway down, which removes all that it holds."
    )
    assert silent.poll() is None


def test_one_that_ends_while_it_is_waited_for_is_one_sentence(
    silent: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = process.read_recorded_emulator()
    assert running
    monkeypatch.setattr(process, "read_recorded_emulator", lambda: None)
    with pytest.raises(SlipwayError, match=r"The local AWS has just ended\. Its log: .*emulator\.log") as told:
        process._wait_until_usable(running, PORT)
    assert told.value.fix == "Try again: slipway up"


@pytest.fixture
def own_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A free port, in a clone for which nothing runs and without Docker."""
    monkeypatch.setenv("SLIPWAY_RUN_DIR", str(tmp_path))
    monkeypatch.setattr(process, "remove_docker_resources", lambda *_, **__: None)
    return free_port()


def test_a_port_in_use_is_refused_with_who_has_it_and_another_one(own_port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", own_port))
        other.listen()
        with pytest.raises(SlipwayError) as refusal:
            process.start_emulator(own_port, "127.0.0.1")
    name = psutil.Process().name()
    assert refusal.value.message == (
        f"The local AWS cannot listen on 127.0.0.1:{own_port}: Address already in use, by pid {os.getpid()} ({name})."
    )
    assert refusal.value.fix == f"Stop that, or choose another port: SLIPWAY_PORT={own_port + 34} slipway up"


def test_one_that_ends_at_its_start_says_its_last_lines(
    own_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PACKAGE_PARENT", tmp_path)  # no package is there
    (tmp_path / "slipway_local").mkdir()
    (tmp_path / "slipway_local" / "__init__.py").write_text("raise SystemExit('no space left on device')\n")
    with pytest.raises(SlipwayError, match=r"The local AWS does not come up[\s\S]*no space left on device") as told:
        process.start_emulator(own_port, "127.0.0.1")
    assert told.value.fix == f"All of it: {tmp_path}/log/emulator.log"


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
        assert not process.is_responding(process.Emulator(0, PORT))  # nobody listens there
        proxy.settimeout(0.2)
        with pytest.raises(TimeoutError):
            proxy.accept()


FOREIGN = {"run_dir": "/elsewhere/.slipway", "project": "shop", "stack": "local"}


class OwnerHandler(BaseHTTPRequestHandler):
    """Answers as another clone's local AWS."""

    def do_GET(self) -> None:
        is_owner_path = self.path == "/_slipway/owner"
        self.send_response(200 if is_owner_path else 404)
        self.end_headers()
        self.wfile.write(json.dumps(FOREIGN).encode() if is_owner_path else b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The run directory of a clone for which no local AWS runs. What a session sets is reset at the end."""
    before = dict(os.environ)
    monkeypatch.setenv("SLIPWAY_RUN_DIR", str(tmp_path))
    monkeypatch.delenv("SLIPWAY_PORT", raising=False)
    monkeypatch.setattr(session, "ensure_pulumi", lambda: Toolchain([tmp_path], tmp_path / "pulumi", "none"))
    yield tmp_path
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture
def foreign_port() -> Iterator[int]:
    """The port of another clone's local AWS."""
    with ThreadingHTTPServer(("127.0.0.1", 0), OwnerHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_port_of_another_clone_is_refused_with_both_names(
    clone: Path, foreign_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_PORT", str(foreign_port))
    for ignore_default in (False, True):
        with pytest.raises(SlipwayError, match=r"/elsewhere/\.slipway") as refusal:
            open_session(ignore_default_port=ignore_default)
        assert str(clone) in refusal.value.message
        assert "unset SLIPWAY_PORT" in refusal.value.fix
    assert "AWS_ENDPOINT_URL" not in os.environ or str(foreign_port) not in os.environ["AWS_ENDPOINT_URL"]


def test_another_clone_on_the_default_port_matters_only_to_a_command_that_asks_the_local_aws(
    clone: Path, foreign_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "DEFAULT_PORT", foreign_port)
    open_session(ignore_default_port=True)
    with pytest.raises(SlipwayError, match=str(clone)) as refusal:
        open_session()
    advice = f"Choose another port for this one: SLIPWAY_PORT={foreign_port + 34} slipway up"
    assert refusal.value.fix == f"{advice}; or run `slipway down` in /elsewhere first."


@pytest.mark.usefixtures("clone")
def test_images_of_a_clone_whose_local_aws_runs_are_not_cleaned_away(foreign_port: int) -> None:
    assert clean._is_of_another_clone(f"localhost:{foreign_port}/shop-local-repository:1")
    assert not clean._is_of_another_clone(f"localhost:{PORT}/shop-local-repository:1")


@pytest.mark.usefixtures("clone")
def test_a_provider_in_a_shell_of_before_does_nothing_on_another_clones_local_aws(
    foreign_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{foreign_port}")
    with pytest.raises(UnsupportedOperation, match=r"belongs to /elsewhere/\.slipway"):
        ProviderContext()("ecs")


@pytest.mark.usefixtures("clone")
def test_a_port_of_any_other_server_is_refused_and_one_that_is_free_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        monkeypatch.setenv("SLIPWAY_PORT", str(other.getsockname()[1]))
        open_session()
        other.listen()
        threading.Thread(target=lambda: other.accept()[0].close(), daemon=True).start()
        with pytest.raises(SlipwayError, match=f"in use, by pid {os.getpid()}"):
            open_session()


@pytest.mark.parametrize("text", ["abc", "-1", "0", "65536", "4566.0", "4\u0665"])
def test_a_port_that_is_none_is_refused_with_what_is_allowed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_PORT", text)
    with pytest.raises(SlipwayError, match="from 1 to 65535") as refusal:
        open_session()
    assert repr(text) in refusal.value.message


def test_a_port_beside_that_of_the_one_that_runs_is_refused_before_anything_is_asked(
    silent: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_PORT", "4800")
    with pytest.raises(SlipwayError, match=f"runs on port {PORT}, and SLIPWAY_PORT asks for 4800"):
        open_session(ignore_default_port=True)
    assert silent.poll() is None


@pytest.mark.e2e
def test_a_local_aws_tells_whose_it_is_and_another_clone_is_refused(
    emulator: process.Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = os.environ["SLIPWAY_RUN_DIR"]
    assert ownership.read_owner(emulator.port) == ownership.current_owner()
    ownership.ensure_own_local_aws(emulator.port)
    monkeypatch.setenv("SLIPWAY_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("SLIPWAY_PORT", str(emulator.port))
    with pytest.raises(SlipwayError, match=run_dir) as refusal:
        open_session()
    assert str(tmp_path) in refusal.value.message


@pytest.mark.e2e
def test_a_local_aws_listens_on_loopback_and_dockers_bridge_only(emulator: process.Emulator) -> None:
    connections = psutil.Process(emulator.pid).net_connections("tcp")
    listening = {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}
    # 169.254.170.2 is this machine alone: the gateway of the Docker network that tasks get their credentials on.
    assert listening - {"169.254.170.2"} == {"127.0.0.1", emulator.bridge}


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
