"""What the commands of the local stack refuse, each with its next step; nothing runs for it."""

from __future__ import annotations

import io
import json
import os
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import pytest

from slipway.config.errors import SlipwayError
from slipway_local import clean, go_build, local_logs, local_stack, plotly_dashboards, up_down
from slipway_local.emulator import credentials_address
from slipway_local.emulator.process import Emulator
from slipway_local.session import Session
from slipway_local.status import EnvironmentStatus
from slipway_local.toolchain import Toolchain


@pytest.fixture(autouse=True)
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLIPWAY_RUN_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Toolchain([], tmp_path / "pulumi", ""), {})


def test_a_second_command_in_a_clone_waits_for_the_first() -> None:
    with (
        up_down._hold_clone_lock(),
        pytest.raises(
            SlipwayError, match=rf"Another slipway \(pid {os.getpid()}\) is working on this clone"
        ) as refusal,
        up_down._hold_clone_lock(),
    ):
        pass
    assert refusal.value.fix == f"Wait until it has ended. If it hangs: kill -INT {os.getpid()}"


def test_an_app_that_does_not_answer_is_named_with_what_its_status_says(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = EnvironmentStatus("local", "http://127.0.0.1:8080/", "", [], "running", trouble="no task runs")
    monkeypatch.setattr(up_down, "APP_READY_TIMEOUT_SECONDS", 0)
    monkeypatch.setattr(up_down, "read_status", lambda _: status)
    with pytest.raises(SlipwayError) as failure:
        up_down._wait_for_app(session)
    assert failure.value.message == "http://127.0.0.1:8080/ does not answer: no task runs"
    assert failure.value.fix == "See `slipway logs` and `slipway status`."


def test_caches_of_an_environment_that_runs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean.emulator, "find_running_emulator", lambda: Emulator(1, 4566))
    with pytest.raises(SlipwayError, match="The local environment is running: its caches are in use") as refusal:
        clean.remove_caches()
    assert refusal.value.fix == "slipway down"


def test_down_is_no_error_where_neither_the_local_aws_nor_a_docker_engine_runs(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{clone}/no-engine.sock")
    monkeypatch.setattr(credentials_address.psutil, "net_connections", lambda _: [])  # of other emulators
    monkeypatch.setattr(up_down, "stop_managed_docker", lambda: False)  # this machine's is not the test's
    up_down.down()
    assert "Nothing of the local environment is left running." in capsys.readouterr().err


def test_a_log_that_was_never_written_is_named(clone: Path) -> None:
    with pytest.raises(SlipwayError) as refusal:
        local_logs.print_log_file("docker", lines=10, follow=False)
    assert refusal.value.message == f"{clone}/log/dockerd.log does not exist: that server was not started here."
    assert refusal.value.fix == "slipway up"


def test_without_a_deployment_there_is_no_log_of_the_app(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_logs, "open_session", lambda **_: session)
    monkeypatch.setattr(local_logs.emulator, "find_running_emulator", lambda: None)
    with pytest.raises(SlipwayError, match="Nothing is deployed, so the app has no log") as refusal:
        local_logs.read_failure_logs(10)
    assert refusal.value.fix == "slipway up"


def test_a_stack_without_prometheus_names_the_setting(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_stack, "read_outputs", dict)
    monkeypatch.setattr(plotly_dashboards, "aws_client", lambda *_: None)
    with pytest.raises(SlipwayError, match="No Prometheus runs in the stack local") as refusal:
        plotly_dashboards.find_prometheus_url(session)
    assert "pulumi config set monitoring true -s local" in refusal.value.fix


@pytest.mark.parametrize(
    ("error", "message", "fix"),
    [
        (
            urllib.error.URLError("refused"),
            "Prometheus does not answer at http://127.0.0.1:9: <urlopen error refused>",
            "Whether its task runs: slipway status",
        ),
        (
            urllib.error.HTTPError(
                "", 400, "Bad Request", Message(), io.BytesIO(json.dumps({"error": "parse error"}).encode())
            ),
            "Prometheus refused the query: parse error",
            "Correct that panel in docker/grafana/dashboards.",
        ),
    ],
)
def test_what_prometheus_refuses_is_named(
    monkeypatch: pytest.MonkeyPatch, error: Exception, message: str, fix: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(SlipwayError) as failure:
        plotly_dashboards._query_prometheus("http://127.0.0.1:9", "query", query="up")
    assert (failure.value.message, failure.value.fix) == (message, fix)


def test_a_program_that_has_to_be_built_without_go_names_the_other_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(go_build.shutil, "which", lambda *_, **__: None)
    with pytest.raises(
        SlipwayError, match="pulumi cannot be downloaded, and Go is not installed to build it"
    ) as failure:
        go_build.build_binary("pulumi", "", tmp_path / "pulumi", options=[], alternative="Install pulumi.")
    assert failure.value.fix == "Install pulumi."
