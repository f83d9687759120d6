"""What `slipway status` and `slipway logs` make of what they are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from slipway.cli.main import app
from slipway_local import session
from slipway_local import status as status_module
from slipway_local.local_logs import _has_failed
from slipway_local.status import (
    EXIT_CODES,
    DataStoreStatus,
    EnvironmentStatus,
    ServiceStatus,
    TaskStatus,
    _count_healthy_tasks,
)

WELL = EnvironmentStatus(
    stack="local",
    url="http://app/",
    image_digest="sha256:1",
    tasks=[],
    emulator="running",
    services=[ServiceStatus("web", 2, 2, "COMPLETED"), ServiceStatus("worker", 1, 1, "IN_PROGRESS")],
    stores=[DataStoreStatus("database", "running")],
    answers=True,
)


@pytest.mark.parametrize(
    ("status", "health", "trouble"),
    [
        (WELL, "healthy", ""),
        (replace(WELL, services=[ServiceStatus("web", 2, 1, "COMPLETED")]), "degraded", "web: 1 of 2 tasks healthy"),
        (
            replace(WELL, services=[ServiceStatus("web", 1, 1, "FAILED: why")]),
            "degraded",
            "web: deployment FAILED: why",
        ),
        (replace(WELL, stores=[DataStoreStatus("cache", "exited")]), "degraded", "cache: its container is exited"),
        (replace(WELL, not_ready="HTTP status 503"), "degraded", "the app is not ready: HTTP status 503"),
        (replace(WELL, answers=False, trouble="refused"), "down", "the app does not answer: refused"),
    ],
)
def test_what_is_not_as_it_should_be_is_named_and_has_an_exit_code(
    status: EnvironmentStatus, health: str, trouble: str
) -> None:
    assert status.health == health
    assert status.troubles == ([trouble] if trouble else [])
    assert status.as_json()["health"] == health
    assert EXIT_CODES[health] == {"healthy": 0, "down": 1, "degraded": 2}[health]


class RollingService:
    """ECS in a rollout: an old task without a check runs beside a new one whose check has no answer yet."""

    def list_tasks(self, **_: Any) -> Any:
        return {"taskArns": ["old", "new"]}

    def describe_tasks(self, tasks: list[str], **_: Any) -> Any:
        running = {"lastStatus": "RUNNING", "healthStatus": "UNKNOWN"}
        return {"tasks": [running | {"taskArn": arn, "taskDefinitionArn": f"of-{arn}"} for arn in tasks]}

    def describe_task_definition(self, taskDefinition: str) -> Any:
        check = {"healthCheck": {"command": ["true"]}} if taskDefinition == "of-new" else {}
        return {"taskDefinition": {"containerDefinitions": [{"name": "web", **check}]}}


def test_a_task_is_counted_by_the_check_of_its_own_task_definition() -> None:
    service = {"serviceName": "web", "taskDefinition": "of-new"}
    assert _count_healthy_tasks(RollingService(), "cluster", service) == 1


@pytest.mark.parametrize(
    ("code", "reason", "exits", "failed"),
    [
        ("EssentialContainerExited", "Essential container in task exited", [1], True),
        (
            "EssentialContainerExited",
            "Essential container in task exited",
            [0],
            False,
        ),  # a one-off task that did what it had to
        (
            "ServiceSchedulerInitiated",
            "Task failed ELB health checks in (target-group x)",
            [0],
            True,
        ),  # it ended in order when it was told to
        ("TaskFailedToStart", "CannotPullContainerError", [None], True),
        ("ServiceSchedulerInitiated", "Scaling activity initiated by deployment x", [137], False),
        ("UserInitiated", "by hand", [0], False),
    ],
)
def test_the_log_of_what_failed_is_of_tasks_that_nobody_stopped(
    code: str, reason: str, exits: list[Any], failed: bool
) -> None:
    assert (
        _has_failed({"stopCode": code, "stoppedReason": reason, "containers": [{"exitCode": exit} for exit in exits]})
        == failed
    )


def test_a_row_of_a_task_fits_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    task = TaskStatus("bb46e468-c9e2-43aa-8b1c-05bd49f1268d", "HEALTHY", "sha256:" + "4ed34f95e514" * 5 + "1358")
    monkeypatch.setattr(status_module, "read_status", lambda _: replace(WELL, tasks=[task]))
    lines = CliRunner().invoke(app, ["status"]).stdout.splitlines()
    (row,) = (line for line in lines if "HEALTHY" in line)
    assert row.split() == ["bb46e468", "HEALTHY", "sha256:4ed34f95e514"]


def test_where_nothing_runs_it_says_so_without_an_install_of_pulumi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Pulumi has to be built, that takes minutes."""

    def install(**_: Any) -> None:
        pytest.fail("it installs Pulumi")

    monkeypatch.setenv("SLIPWAY_RUN_DIR", str(tmp_path))
    monkeypatch.setattr(session, "ensure_pulumi", install)
    done = CliRunner().invoke(app, ["status"])
    assert (done.exit_code, "nothing is deployed" in done.stdout) == (1, True), done.output
