"""End to end: restart, scale, open, secrets, pause and resume on the everyday environment, in the order of a day."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.local.clone import COMMAND_SECONDS, ROOT, Clone
from tests.local.conftest import until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (ROOT / "tests" / "app").is_dir(), reason="the reference app was removed"),
]
SECRET = "https://key@errors.example.com/7"  # noqa: S105 - of no service


@pytest.fixture
def clone(everyday: Clone) -> Clone:
    return everyday


def command(clone: Clone, *arguments: str, typed: str = "", code: int = 0) -> tuple[Any, str]:
    """What a command answers under --json, and everything that it printed beside."""
    done = subprocess.run(
        [sys.executable, "-m", "slipway.cli.main", *arguments, "--json"],
        cwd=clone.root,
        env=clone.env,
        input=typed,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout), done.stdout + done.stderr


def tasks_of(clone: Clone, process: str) -> set[str]:
    ecs = clone.aws("ecs")
    (cluster,) = ecs.list_clusters()["clusterArns"]
    arns = ecs.list_services(cluster=cluster)["serviceArns"]
    (service,) = (arn.rsplit("/", 1)[-1] for arn in arns if process in arn)
    return set(ecs.list_tasks(cluster=cluster, serviceName=service)["taskArns"])


def database_states(clone: Clone) -> set[str]:
    stores = clone.status()["stores"]
    return {store["state"] for store in stores if "db" in store["name"] or "database" in store["name"]}


def schedule_states(clone: Clone) -> set[str]:
    """Of the app's schedules; the off-hours tasks' own go on during a pause."""
    schedules = clone.aws("scheduler").list_schedules()["Schedules"]
    return {schedule["State"] for schedule in schedules if "off-hours" not in schedule["Name"]}


def test_restart_replaces_the_tasks_of_one_process_and_verifies_them(clone: Clone) -> None:
    web, worker = tasks_of(clone, "web"), tasks_of(clone, "worker")
    answer, told = command(clone, "restart", "local", "-p", "web")
    assert [(each["process"], each["tasks"]) for each in answer["processes"]] == [("web", 2)]
    assert (len(web), len(worker), len(tasks_of(clone, "web"))) == (2, 1, 2)
    assert "Restarting web of local in the account 000000000000 (us-east-1" in told
    assert not tasks_of(clone, "web") & web
    assert tasks_of(clone, "worker") == worker
    assert clone.get("/readyz")[0] == 200


def test_a_process_that_does_not_exist_is_answered_with_those_that_do(clone: Clone) -> None:
    wrong, _ = command(clone, "restart", "local", "-p", "wbe", code=1)
    assert wrong["error"] == "The stack local has no process wbe."
    assert wrong["fix"] == "Processes with a service: web, worker."
    scheduled, _ = command(clone, "scale", "local", "cleanup=2", code=1)
    assert "has no service" in scheduled["error"]


def test_open_prints_the_address(clone: Clone) -> None:
    answer, _ = command(clone, "open", "local")
    assert answer == {"stack": "local", "url": clone.status()["url"]}


def test_secrets_are_asked_for_and_never_shown(clone: Clone) -> None:
    listed, _ = command(clone, "secrets", "local", "list")
    assert listed["secrets"] == [{"name": "SENTRY_DSN", "state": "optional"}]
    _, told = command(clone, "secrets", "local", "set", "SENTRY_DSN", typed=f"{SECRET}\n")
    file = (clone.root / "stacks" / "Pulumi.local.yaml").read_text()
    assert SECRET not in told + file
    assert clone.pulumi("config", "get", "--path", "secrets.SENTRY_DSN").strip() == SECRET
    listed, told = command(clone, "secrets", "local", "list")
    assert listed["secrets"] == [{"name": "SENTRY_DSN", "state": "set"}]
    assert SECRET not in told
    wrong, _ = command(clone, "secrets", "local", "set", "SENTRI_DSN", typed=SECRET, code=1)
    assert "it names: SENTRY_DSN" in wrong["error"]
    command(clone, "secrets", "local", "unset", "SENTRY_DSN")
    (clone.root / ".env").write_text(f"export SENTRY_DSN='{SECRET}' # ours\nOTHER=1\n")
    imported, told = command(clone, "secrets", "local", "import", ".env")
    assert imported["names"] == ["SENTRY_DSN"]
    assert "does not name them: OTHER" in told
    assert SECRET not in told
    command(clone, "secrets", "local", "unset", "SENTRY_DSN")


def test_scale_is_verified_and_the_stack_file_wins_at_the_next_up(clone: Clone) -> None:
    answer, told = command(clone, "scale", "local", "web=3")
    assert [(each["process"], each["tasks"]) for each in answer["processes"]] == [("web", 3)]
    assert "The stack file wins at the next `up`" in told
    assert len(tasks_of(clone, "web")) == 3
    clone.slipway("up")
    status = clone.status()
    assert [s["desired"] for s in status["services"] if "web" in s["name"]] == [2]


def test_a_paused_stack_has_no_task_and_no_database_and_says_so(clone: Clone) -> None:
    answer, told = command(clone, "pause", "local")
    assert answer["paused"]
    assert "of local in the account 000000000000" in told
    status = clone.status()
    assert [s["desired"] for s in status["services"]] == [0, 0]
    assert status["tasks"] == []
    assert status["paused"] == answer["paused"]
    until(lambda: database_states(clone) == {"exited"})  # `pause` asks for the stop and does not wait for it
    assert schedule_states(clone) == {"DISABLED"}
    alarms = clone.aws("cloudwatch").describe_alarms()["MetricAlarms"]
    assert alarms
    assert {a["AlarmName"] for a in alarms if a["ActionsEnabled"] and "off-hours" not in a["AlarmName"]} == set()
    assert "is paused since" in clone.slipway("up", code=1)
    assert "is paused since" in command(clone, "restart", "local", code=1)[0]["error"]
    assert "is paused since" in clone.slipway("preview", "create", "pr-1", "--base", "local", code=1)
    again, _ = command(clone, "pause", "local")
    assert again == answer


def test_resume_waits_until_it_serves(clone: Clone) -> None:
    answer, _ = command(clone, "resume", "local")
    assert answer["was_paused"]
    assert clone.get("/readyz")[0] == 200
    status = clone.status()
    assert (status["health"], status["paused"]) == ("healthy", "")
    assert sorted(s["desired"] for s in status["services"]) == [1, 2]
    assert schedule_states(clone) == {"ENABLED"}
    assert all(alarm["ActionsEnabled"] for alarm in clone.aws("cloudwatch").describe_alarms()["MetricAlarms"])
    targets = clone.aws("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert not any(value for target in targets for value in target["SuspendedState"].values())
    assert not command(clone, "resume", "local")[0]["was_paused"]


def run_scheduled(clone: Clone, label: str) -> str:
    """Run a schedule's task as EventBridge Scheduler does; its log."""
    scheduler, ecs = clone.aws("scheduler"), clone.aws("ecs")
    (name,) = [s["Name"] for s in scheduler.list_schedules()["Schedules"] if label in s["Name"]]
    target = scheduler.get_schedule(Name=name)["Target"]
    network = target["EcsParameters"]["NetworkConfiguration"]["awsvpcConfiguration"]
    started = ecs.run_task(
        cluster=target["Arn"],
        taskDefinition=target["EcsParameters"]["TaskDefinitionArn"],
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {key[0].lower() + key[1:]: each for key, each in network.items()}},
    )
    arn = started["tasks"][0]["taskArn"]

    def ended() -> Any:
        (task,) = ecs.describe_tasks(cluster=target["Arn"], tasks=[arn])["tasks"]
        return task if task["lastStatus"] == "STOPPED" else None

    task = until(ended, 300)
    logs = clone.aws("logs")
    groups = [g["logGroupName"] for g in logs.describe_log_groups()["logGroups"] if label in g["logGroupName"]]
    lines = [e["message"] for group in groups for e in logs.filter_log_events(logGroupName=group)["events"]]
    assert task["containers"][0]["exitCode"] == 0, lines
    return "\n".join(lines)


def test_the_evenings_task_stops_the_stack_and_the_mornings_one_starts_it(clone: Clone) -> None:
    """Each under its own role, from the image that it has on AWS."""
    assert "is stopping" in run_scheduled(clone, "off-hours-stop")
    status = clone.status()
    assert status["paused"].startswith("off-hours ")
    assert [service["desired"] for service in status["services"]] == [0, 0]
    until(lambda: database_states(clone) == {"exited"})
    assert "3 tasks run." in run_scheduled(clone, "off-hours-start")
    assert clone.status()["paused"] == ""
    until(lambda: clone.status()["health"] == "healthy")  # the task waits for tasks that run, not for their health
    assert clone.get("/readyz")[0] == 200
