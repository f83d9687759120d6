"""The Docker engine that several clones share: who stops it, and who starts it meanwhile."""

from __future__ import annotations

import fcntl
import subprocess
import threading
from pathlib import Path

import pytest

from infra.local import docker_engine


@pytest.fixture
def dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> subprocess.Popen[bytes]:
    """An engine of ours that takes a second to end."""
    command = ["sh", "-c", "trap 'sleep 1; exit' TERM; echo; while :; do sleep 0.05; done"]
    engine = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert engine.stdout
    engine.stdout.readline()  # it is ready to be told
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path))
    monkeypatch.setattr(docker_engine, "_our_pid", lambda: engine.pid)
    monkeypatch.setattr(docker_engine, "answers", lambda: False)
    monkeypatch.setattr(docker_engine, "_users", [])
    return engine


def test_who_wants_an_engine_while_one_is_stopped_waits_for_its_end(dying: subprocess.Popen[bytes]) -> None:
    told = threading.Event()
    ended_by_then: list[bool] = []

    def another() -> None:
        told.wait(10)
        docker_engine._use()
        ended_by_then.append(not Path(f"/proc/{dying.pid}").exists())

    waiting = threading.Thread(target=another)
    waiting.start()
    stopping = threading.Thread(target=docker_engine.stop_docker_if_ours)
    stopping.start()
    stopping.join(0.3)
    told.set()
    stopping.join(10)
    waiting.join(10)
    assert ended_by_then == [True]


def test_an_engine_that_somebody_uses_goes_on(dying: subprocess.Popen[bytes]) -> None:
    with (docker_engine.cache_dir() / "dockerd.users").open("w") as share:
        fcntl.flock(share, fcntl.LOCK_SH)
        assert docker_engine.stop_docker_if_ours() is False
    assert dying.poll() is None
    assert docker_engine.stop_docker_if_ours() is True
