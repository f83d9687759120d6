"""What a failed release says: which container ended, why, and what still runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from slipway.release import failure_report, rollout
from slipway.release.rollout import ExpectedService
from tests.infra.deployed import Answers

SERVICE = ExpectedService("cluster", "shop-web", "arn:task-definition/web:7")
BEGAN = 1_000_000.0


def container(name: str, **state: Any) -> dict[str, Any]:
    return {"name": name, **state}


SIDECAR = container("redis", exitCode=0)


@pytest.mark.parametrize(
    ("containers", "failed"),
    [
        ([SIDECAR, container("web", exitCode=1)], "web"),
        ([container("init", exitCode=143), container("web", reason="CannotPullContainerError")], "web"),
        ([container("web", exitCode=143, reason="x"), container("init", exitCode=2)], "init"),
        ([container("collector"), container("web", healthStatus="UNHEALTHY")], "web"),
        ([container("collector"), SIDECAR], "redis"),
        ([container("web"), container("redis")], "web"),
    ],
)
def test_the_container_that_ended_a_task_is_named(containers: list[Any], failed: str) -> None:
    assert failure_report.find_failed_container({"containers": containers}) == failed


@pytest.mark.parametrize(
    ("state", "stopped", "causes"),
    [
        ({"exitCode": 3}, "Essential container in task exited", ["web exited with 3"]),
        ({"exitCode": 137, "reason": "OutOfMemory"}, "Essential container in task exited",
         ["web exited with 137 (OutOfMemory)"]),
        ({"reason": "CannotPull"}, "Task failed to start", ["web did not start (CannotPull)", "Task failed to start"]),
        ({"exitCode": 0}, "Essential container in task exited",
         ["web exited with 0: it ended by itself, and a service must keep running"]),
        ({}, "Task failed container health checks", ["Task failed container health checks"]),
        ({}, "", ["stopped without a reason"]),
    ],
)  # fmt: skip
def test_a_task_says_why_it_ended_and_what_ecs_adds(state: dict[str, Any], stopped: str, causes: list[str]) -> None:
    assert failure_report._causes({"containers": [container("web", **state)], "stoppedReason": stopped}) == causes


def task(revision: int, last: str = "RUNNING", desired: str = "RUNNING") -> dict[str, Any]:
    return {
        "taskDefinitionArn": f"arn:task-definition/web:{revision}",
        "lastStatus": last,
        "desiredStatus": desired,
        "containers": [container("web")],
    }


def definition(taskDefinition: str) -> Any:
    release = {"name": "RELEASE", "value": f"r{taskDefinition[-1]}"}
    web = {"name": "web", "stopTimeout": 45, "environment": [{"name": "PORT", "value": "1"}, release]}
    return {"taskDefinition": {"containerDefinitions": [{"name": "redis"}, web]}}


def test_what_still_serves_is_counted_by_its_release(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [task(7), task(6), task(7), task(8, last="PENDING"), task(8, desired="STOPPED")]
    monkeypatch.setattr(rollout, "list_current_tasks", lambda *_: tasks)
    aws: Any = Answers({"describe_task_definition": definition})
    told = failure_report.describe_running_tasks(aws, SERVICE)
    assert told == "Running now: 1 of web:6 (release r6), 2 of web:7 (release r7)."
    assert failure_report.describe_siblings(aws, [SERVICE]) == [
        "shop-web runs 1 of web:6 (release r6), 2 of web:7 (release r7); this update deploys web:7."
    ]
    tasks.clear()
    assert failure_report.describe_running_tasks(aws, SERVICE) == "No task of shop-web is running now."


def stopped(code: int, at: float = BEGAN + 1, **more: Any) -> dict[str, Any]:
    moment = datetime.fromtimestamp(at, UTC)
    return task(7) | {"containers": [container("web", exitCode=code, **more)], "stoppedAt": moment}


def test_tasks_that_had_to_be_killed_are_told_with_the_time_that_they_had(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [
        stopped(137),
        stopped(137, BEGAN),
        stopped(137, BEGAN - 1),  # of a deployment before
        stopped(137, reason="OutOfMemoryError"),  # not for want of time
        stopped(0),
    ]
    monkeypatch.setattr(rollout, "list_stopped_tasks", lambda *_: tasks)
    monkeypatch.setattr(rollout, "is_failed_task", lambda _: False)
    aws: Any = Answers({"describe_task_definition": definition})
    (told,) = failure_report.describe_killed_tasks(aws, SERVICE, BEGAN)
    assert told.startswith("2 task(s) of web:7 were killed (exit code 137): web did not end within 45 s of SIGTERM")
    monkeypatch.setattr(rollout, "is_failed_task", lambda _: True)  # that is reported as a failure
    assert failure_report.describe_killed_tasks(aws, SERVICE, BEGAN) == []


@pytest.mark.parametrize(("exit_code", "limits"), [(3, 0), (143, 1), (137, 1), (None, 1)])
def test_the_limits_of_a_health_check_are_named_unless_the_container_exited_by_itself(
    exit_code: int | None, limits: int
) -> None:
    checked = {"name": "web", "healthCheck": {"interval": 5, "timeout": 10, "retries": 5, "startPeriod": 60}}
    aws: Any = Answers(
        {"describe_task_definition": lambda **_: {"taskDefinition": {"containerDefinitions": [checked]}}}
    )
    ended = {
        "taskDefinitionArn": "arn:task-definition/web:7",
        "stoppedReason": "Essential container in task exited",
        "containers": [container("web", healthStatus="UNHEALTHY", exitCode=exit_code)],
    }
    assert len(failure_report._container_check_limits(aws, [ended])) == limits
