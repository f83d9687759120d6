"""The Docker engine that several clones share: who stops it, who starts it meanwhile, and which engine is meant."""

from __future__ import annotations

import fcntl
import os
import subprocess
import threading
from pathlib import Path
from shutil import which as shutil_which

import pytest

from slipway.config.errors import SlipwayError
from slipway_local import docker_engine, paths


@pytest.fixture
def dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> subprocess.Popen[bytes]:
    """An engine of ours, without containers, that takes a second to end."""
    command = ["sh", "-c", "trap 'sleep 1; exit' TERM; echo; while :; do sleep 0.05; done"]
    engine = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert engine.stdout
    engine.stdout.readline()  # it is ready to be told
    monkeypatch.setattr(docker_engine, "ENGINE_DIR", tmp_path / "engine")
    monkeypatch.setattr(docker_engine, "_managed_pid", lambda: engine.pid)
    monkeypatch.setattr(docker_engine, "_list_managed_containers", list)
    monkeypatch.setattr(docker_engine, "_shared_locks", [])
    return engine


def test_who_wants_an_engine_while_one_is_stopped_waits_for_its_end(dying: subprocess.Popen[bytes]) -> None:
    told = threading.Event()
    ended_by_then: list[bool] = []

    def another() -> None:
        told.wait(10)
        docker_engine.acquire_engine_share()
        ended_by_then.append(not Path(f"/proc/{dying.pid}").exists())

    waiting = threading.Thread(target=another)
    waiting.start()
    stopping = threading.Thread(target=docker_engine.stop_managed_docker)
    stopping.start()
    stopping.join(0.3)
    told.set()
    stopping.join(10)
    waiting.join(10)
    assert ended_by_then == [True]


def test_an_engine_that_a_clone_with_another_cache_uses_goes_on(
    dying: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / "one"))
    docker_engine.acquire_engine_share()
    (other,) = docker_engine._shared_locks
    monkeypatch.setattr(docker_engine, "_shared_locks", [])
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / "other"))
    assert docker_engine.stop_managed_docker() is False
    assert dying.poll() is None
    fcntl.flock(other, fcntl.LOCK_UN)
    assert docker_engine.stop_managed_docker() is True


@pytest.mark.parametrize("containers", [None, ["3f5a"]])
def test_an_engine_that_runs_containers_or_does_not_answer_is_not_stopped(
    dying: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, containers: list[str] | None
) -> None:
    monkeypatch.setattr(docker_engine, "_list_managed_containers", lambda: containers)
    assert docker_engine.stop_managed_docker() is False
    assert dying.poll() is None
    dying.kill()
    dying.wait()


@pytest.mark.e2e
def test_containers_are_looked_for_in_this_machines_engine_whatever_the_shell_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    docker_engine.ensure_docker()
    monkeypatch.setenv("DOCKER_CONTEXT", "nope")
    assert not docker_engine.is_docker_running()
    assert docker_engine._list_managed_containers() is not None


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"DOCKER_CONTEXT": "nope"}, "DOCKER_CONTEXT is nope"),
        ({"DOCKER_HOST": "tcp://127.0.0.1:9"}, "DOCKER_HOST is tcp://127.0.0.1:9"),
        ({"DOCKER_CONTEXT": "nope", "DOCKER_HOST": "tcp://127.0.0.1:9"}, "DOCKER_CONTEXT is nope"),
    ],
)
def test_an_engine_that_the_shell_names_is_never_replaced_by_another_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], named: str
) -> None:
    started: list[str] = []
    monkeypatch.setattr(docker_engine, "ENGINE_DIR", tmp_path)
    monkeypatch.setattr(docker_engine, "_start_dockerd", lambda: started.append("dockerd"))
    monkeypatch.setattr(docker_engine, "_shared_locks", [])
    for name in docker_engine.ENGINE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SlipwayError, match=named) as refusal:
        docker_engine.ensure_docker()
    assert "unset" in refusal.value.fix
    assert started == []


def test_a_current_context_without_an_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in docker_engine.ENGINE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(docker_engine, "_current_context", lambda: "desktop")
    with pytest.raises(SlipwayError, match="current context is desktop"):
        docker_engine._ensure_engine_may_be_started()


def test_a_cache_that_cannot_be_created_or_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(SlipwayError, match="cannot be created: Not a directory") as refusal:
        paths.cache_dir()
    assert "SLIPWAY_CACHE" in refusal.value.fix
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SlipwayError, match=r"The cache folder .* cannot be written"):
        paths.cache_dir()


def test_a_home_that_nobody_has_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLIPWAY_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/dev/null/nowhere")
    with pytest.raises(SlipwayError, match="cannot be created"):
        paths.cache_dir()


@pytest.fixture
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Docker, whose shell names no engine; its folder of programs."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setattr(docker_engine, "ENGINE_DIR", tmp_path / "engine")
    monkeypatch.setattr(docker_engine, "DEBIAN_CLIENT", tmp_path / "no-docker")
    monkeypatch.setattr(docker_engine, "_shared_locks", [])
    monkeypatch.setattr(docker_engine.shutil, "which", lambda name, path="": shutil_which(name, path=str(programs)))
    monkeypatch.setenv("SLIPWAY_RUN_DIR", str(tmp_path / "run"))
    for name in docker_engine.ENGINE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return programs


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.usefixtures("no_engine")
def test_without_an_engine_and_without_root_the_commands_that_start_one_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SlipwayError, match="No Docker engine answers, and starting one takes root") as refusal:
        docker_engine.ensure_docker()
    assert "sudo systemctl start docker" in refusal.value.fix
    assert "usermod -aG docker" in refusal.value.fix


@pytest.mark.usefixtures("no_engine")
def test_where_nothing_can_be_installed_dockers_own_instructions_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(SlipwayError, match="this is no Debian or Ubuntu where one could be installed") as refusal:
        docker_engine.ensure_docker()
    assert refusal.value.fix == "Install Docker: https://docs.docker.com/engine/install/"


@pytest.mark.usefixtures("no_engine")
def test_a_package_without_a_daemon_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_engine, "_install_docker", lambda: None)
    with pytest.raises(SlipwayError, match=r"docker\.io is installed, and it has no dockerd") as refusal:
        docker_engine._start_dockerd()
    assert "https://docs.docker.com/engine/install/" in refusal.value.fix


def test_a_daemon_that_ends_says_its_last_lines(no_engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_program(no_engine / "dockerd", "echo failed to mount overlay; exit 1")
    monkeypatch.setattr(docker_engine, "DEBIAN_CLIENT", no_engine / "dockerd")
    with pytest.raises(SlipwayError, match=r"dockerd does not come up[\s\S]*failed to mount overlay") as refusal:
        docker_engine._start_dockerd()
    assert refusal.value.fix == f"All of it: {os.environ['SLIPWAY_RUN_DIR']}/log/dockerd.log"


def test_a_client_that_cannot_build_is_refused_with_the_package_that_it_lacks(no_engine: Path) -> None:
    write_program(no_engine / "docker", '[ "$1" = buildx ] && exit 1; echo Docker version 27.5.1, build 1')
    with pytest.raises(SlipwayError, match="its buildx component is missing") as refusal:
        docker_engine.ensure_docker()
    assert "apt-get install docker-buildx" in refusal.value.fix


def test_a_question_that_docker_does_not_answer_is_named_with_its_words(
    no_engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(no_engine / "docker", "echo no such network >&2; exit 1")
    monkeypatch.setenv("PATH", str(no_engine), prepend=os.pathsep)
    with pytest.raises(SlipwayError, match=r"`docker network inspect bridge .*` failed: no such network") as refusal:
        docker_engine._find_bridge_address()
    assert refusal.value.fix == "See `docker info`."


def test_a_bridge_without_an_address_that_containers_reach_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_engine, "_docker_output", lambda *_: '[{"Subnet": "fd00::/64", "Gateway": "fd00::1"}]')
    with pytest.raises(SlipwayError, match="default network `bridge` has no IPv4 address") as refusal:
        docker_engine._find_bridge_address()
    assert refusal.value.fix == "docker network inspect bridge"


def test_a_user_without_a_home_is_told_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(SlipwayError, match="The cache folder ~nobody-of-this-name/cache cannot be created") as refusal:
        paths.cache_dir()
    assert refusal.value.fix == paths.CACHE_ADVICE
