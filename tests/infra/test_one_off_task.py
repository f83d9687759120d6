"""`slipway run`: which task a request means, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.release import one_off_task
from slipway.release.one_off_task import RunRequest, plan_one_off_task, start_one_off_task
from slipway.release.standalone_task import StandaloneTask
from tests.infra.deployed import CLUSTER, NETWORK, Answers, deployed
from tests.infra.fake_ecs import FakeClock, FakeEcs, FakeTask

RELEASE = {"container": "release", "taskDefinition": "shop-release:9", "family": "shop-release", "network": NETWORK}
BACKFILL = {"taskDefinition": "shop-backfill:3", "network": NETWORK}


def definition(taskDefinition: str) -> Any:
    name = taskDefinition.removeprefix("shop-").partition(":")[0]
    containers = [{"name": "database", "image": "kit@sha256:1"}] if name == "release" else []
    containers.append({"name": name, "image": "registry/shop@sha256:2", "command": ["own", name]})
    return {
        "taskDefinition": {
            "taskDefinitionArn": taskDefinition,
            "cpu": "256",
            "memory": "512",
            "containerDefinitions": containers,
        }
    }


def service(services: list[str], **_: Any) -> Any:
    network = {"networkConfiguration": {"awsvpcConfiguration": NETWORK}}
    return {"services": [{"status": "ACTIVE", "taskDefinition": f"{services[0]}:4", **network}]}


def answers() -> Answers:
    return Answers(
        {
            "describe_task_definition": definition,
            "describe_services": service,
            "run_task": {"tasks": [{"taskArn": f"{CLUSTER}/1"}]},
        }
    )


def started(aws: Answers, request: RunRequest) -> dict[str, Any]:
    """What RunTask is given for a request."""
    stack = deployed(aws, release=RELEASE, tasks={"backfill": BACKFILL})
    start_one_off_task(stack, plan_one_off_task(stack, request))
    (given,) = aws.given("run_task")
    return given


def test_a_command_runs_in_the_task_definition_and_network_that_serve() -> None:
    given = started(answers(), RunRequest(command=("python", "-m", "x", "--all")))
    assert given["taskDefinition"] == "shop-web:4"
    assert given["networkConfiguration"]["awsvpcConfiguration"] == NETWORK
    assert given["overrides"] == {
        "containerOverrides": [{"name": "web", "command": ["python", "-m", "x", "--all"], "environment": []}]
    }
    assert (given["enableExecuteCommand"], given["startedBy"]) == (True, "slipway-run")


def test_a_manual_process_runs_its_own_command() -> None:
    given = started(answers(), RunRequest("backfill"))
    assert given["taskDefinition"] == "shop-backfill:3"
    assert given["overrides"] == {"containerOverrides": []}


def test_the_release_step_runs_a_command_after_the_databases_roles() -> None:
    given = started(answers(), RunRequest(command=("alembic", "current"), release=True))
    assert given["taskDefinition"] == "shop-release:9"
    assert [each["name"] for each in given["overrides"]["containerOverrides"]] == ["release"]


def test_sizes_are_the_tasks_own_unless_they_are_given() -> None:
    given = started(answers(), RunRequest(command=("x",), cpu=1024, memory=4096))
    assert (given["overrides"]["cpu"], given["overrides"]["memory"]) == ("1024", "4096")


REFUSED = [
    (RunRequest("mailer", ("x",)), "There is no process mailer in dev", "backfill, web, worker"),
    (RunRequest("worker"), "worker runs all the time: a one-off task of it needs a command", "-p worker -- COMMAND"),
    (RunRequest(), "web runs all the time", "-- COMMAND"),
    (
        RunRequest("web", ("x",), release=True),
        "--release and the process web contradict each other",
        "--release -- COMMAND",
    ),
    (RunRequest(release=True), "--release needs a command", "slipway migrate"),
    (RunRequest("web", ("x",), cpu=1024), "--memory is 512: with --cpu 1024 Fargate allows 2048", "together"),
    (RunRequest("web", ("x",), cpu=300, memory=512), "--cpu is 300", "together"),
]


@pytest.mark.parametrize(("request_", "message", "fix"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_cannot_run_is_refused_before_anything_starts(request_: RunRequest, message: str, fix: str) -> None:
    aws = answers()
    with pytest.raises(SlipwayError) as refused:
        started(aws, request_)
    assert message in refused.value.message
    assert fix in refused.value.fix
    assert aws.given("run_task") == []


def follow(task: FakeTask) -> tuple[int, list[str]]:
    clock = FakeClock()
    ecs = FakeEcs(clock, [], [])
    ecs.run = [task]
    aws: Any = ecs
    stack = deployed(aws)
    planned = one_off_task.OneOffTask("web", "web", StandaloneTask(CLUSTER, "web:4", NETWORK), (), "image")
    said: list[str] = []
    arn = start_one_off_task(stack, planned)
    return one_off_task.follow_one_off_task(stack, planned, arn, said.append, clock), said


@pytest.mark.parametrize("code", [0, 3])
def test_its_log_is_followed_and_its_exit_code_is_the_answer(code: int) -> None:
    assert follow(FakeTask("web:4", 0, 2, 10, code, log=["row 7"])) == (code, ["row 7"])


def test_one_that_did_not_start_says_why() -> None:
    with pytest.raises(SlipwayError, match=r"web did not run \(CannotPullContainerError"):
        follow(FakeTask("web:4", 0, None, 5, None, "TaskFailedToStart", "CannotPullContainerError"))
