"""Containers of a task that wait for others: dependsOn and its conditions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from slipway_local.emulator.ecs.dependencies import container_start_order, dependency_error
from tests.local.conftest import until
from tests.local.ecs_tasks import SLEEP, Tasks, by_name, python

pytestmark = pytest.mark.e2e
Aws = Callable[[str], Any]


@pytest.fixture(scope="module")
def tasks(aws: Aws, engine: Any) -> Tasks:
    return Tasks(aws, engine)


def first(program: str, **more: Any) -> dict[str, Any]:
    return {"name": "prepare", "command": python(program), "essential": False, **more}


def behind(condition: str, command: list[str] = SLEEP) -> dict[str, Any]:
    return {
        "name": "web",
        "command": command,
        "dependsOn": [{"containerName": "prepare", "condition": condition}],
    }


def test_a_container_waits_for_the_success_of_the_first(tasks: Tasks) -> None:
    arn = tasks.run(behind("SUCCESS"), first("import time; time.sleep(4)"))
    until(lambda: "prepare" in tasks.containers(arn))
    time.sleep(1)
    assert "web" not in tasks.containers(arn)
    assert tasks.get(arn)["lastStatus"] == "PENDING"
    running = tasks.reaches(arn, "RUNNING")
    assert by_name(running)["prepare"]["exitCode"] == 0
    tasks.stop(arn)


def test_a_first_container_that_fails_ends_the_task_and_the_other_is_never_started(tasks: Tasks) -> None:
    arn = tasks.run(behind("SUCCESS"), first("raise SystemExit(3)"))
    ended = tasks.reaches(arn, "STOPPED")
    assert ended["stopCode"] == "EssentialContainerExited"
    assert by_name(ended)["prepare"]["exitCode"] == 3
    assert by_name(ended)["web"]["exitCode"] == 143
    assert "runtimeId" not in by_name(ended)["web"]


def test_completion_is_enough_where_success_is_not_asked_for(tasks: Tasks) -> None:
    arn = tasks.run(behind("COMPLETE"), first("raise SystemExit(3)"))
    assert by_name(tasks.reaches(arn, "RUNNING"))["prepare"]["exitCode"] == 3
    tasks.stop(arn)


def test_a_start_is_enough_where_only_that_is_asked_for(tasks: Tasks) -> None:
    arn = tasks.run(behind("START"), first("import time; time.sleep(600)", stopTimeout=2))
    tasks.reaches(arn, "RUNNING")
    assert set(tasks.containers(arn)) == {"pause", "prepare", "web"}
    tasks.stop(arn)


def test_a_dependency_is_given_up_after_its_start_timeout(tasks: Tasks) -> None:
    arn = tasks.run(behind("SUCCESS"), first("import time; time.sleep(600)", startTimeout=2, stopTimeout=2))
    ended = tasks.reaches(arn, "STOPPED")
    assert by_name(ended)["web"]["exitCode"] == 143
    assert "after 2 s" in by_name(ended)["web"]["reason"]


def test_a_dependency_that_ecs_does_not_take_is_refused(tasks: Tasks) -> None:
    with pytest.raises(tasks.ecs.exceptions.ClientException, match="essential container"):
        tasks.run(behind("SUCCESS"), first("pass") | {"essential": True})


@pytest.mark.parametrize(
    ("condition", "other", "told"),
    [
        ("COMPLETE", {"essential": True}, "can't be set on an essential container"),
        ("SUCCESS", {}, "can't be set on an essential container"),
        ("HEALTHY", {"essential": False}, "no health check"),
        ("READY", {"essential": False}, "a condition is one of"),
        ("START", {"name": "another"}, "not in this task"),
        ("START", {"dependsOn": [{"containerName": "web", "condition": "START"}]}, "depend on each other"),
    ],
)
def test_a_wrong_dependency_is_named(condition: str, other: dict[str, Any], told: str) -> None:
    web = {"name": "web", "dependsOn": [{"containerName": "prepare", "condition": condition}]}
    assert told in dependency_error([web, {"name": "prepare"} | other])


def test_containers_start_behind_what_they_depend_on() -> None:
    web = {"name": "web", "dependsOn": [{"containerName": "init", "condition": "SUCCESS"}]}
    assert container_start_order([web, {"name": "init"}, {"name": "redis"}]) == [["init", "redis"], ["web"]]


def test_a_task_that_is_stopped_while_it_starts_leaves_nothing_and_keeps_the_reason(tasks: Tasks) -> None:
    arn = tasks.run(behind("SUCCESS"), first("import time; time.sleep(600)", stopTimeout=2))
    until(lambda: "prepare" in tasks.containers(arn))
    tasks.ecs.stop_task(cluster=tasks.cluster, task=arn, reason="not wanted")
    ended = tasks.reaches(arn, "STOPPED")
    assert (ended["stopCode"], ended["stoppedReason"]) == ("UserInitiated", "not wanted")
    assert tasks.containers(arn) == {}
