"""EventBridge Scheduler: when a schedule is due, and that a target of ECS becomes a task."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.emulator import scheduler
from tests.local.conftest import BASE_IMAGE, until

Aws = Callable[[str], Any]
ROLE = "arn:aws:iam::000000000000:role/scheduler"


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("expression", "zone", "last", "expected"),
    [
        ("rate(5 minutes)", "UTC", None, "2026-01-01T00:00:00"),  # at once, without a start date
        ("rate(5 minutes)", "UTC", "2026-01-01T00:05:03", "2026-01-01T00:10:00"),  # late once, not from then on
        ("rate(1 hour)", "UTC", "2026-01-03T07:30:00", "2026-01-03T08:00:00"),
        ("cron(30 3 * * ? *)", "UTC", None, "2026-01-01T03:30:00"),
        ("cron(30 3 * * ? *)", "Europe/Berlin", None, "2026-01-01T02:30:00"),
        ("cron(30 2 * * ? *)", "Europe/Berlin", "2026-03-28T01:30:00", "2026-03-30T00:30:00"),  # the 29th has no 02:30
        ("cron(0 9 ? * MON-FRI *)", "UTC", "2026-01-02T09:00:00", "2026-01-05T09:00:00"),
        ("at(2026-07-01T12:00:00)", "America/New_York", None, "2026-07-01T16:00:00"),
        ("at(2026-07-01T12:00:00)", "UTC", "2026-07-01T12:00:01", None),  # once
        ("at(2025-07-01T12:00:00)", "UTC", None, None),  # past before it was made
    ],
)
def test_a_schedule_is_due_at_the_right_time(
    expression: str, zone: str, last: str | None, expected: str | None
) -> None:
    made = at("2026-01-01T00:00:00")
    schedule = {
        "ScheduleExpression": expression,
        "ScheduleExpressionTimezone": zone,
        "CreationDate": made,
        "LastModificationDate": made,
    }
    found = scheduler.next_run(schedule, at(last) if last else None)
    assert found == (at(expected) if expected else None)


def test_a_change_makes_up_for_nothing_and_an_end_is_the_end() -> None:
    schedule = {
        "ScheduleExpression": "cron(0 3 * * ? *)",
        "CreationDate": at("2026-01-01T00:00:00"),
        "LastModificationDate": at("2026-02-01T12:00:00"),  # enabled again after a month
    }
    last = at("2026-01-01T03:00:00")
    assert scheduler.next_run(schedule, last) == at("2026-02-02T03:00:00")
    assert scheduler.next_run(schedule | {"EndDate": at("2026-02-02T00:00:00")}, last) is None


class Nightly:
    """Schedules of one cluster, and the tasks that they started."""

    def __init__(self, aws: Aws) -> None:
        self.ecs, self.scheduler, self.sqs = aws("ecs"), aws("scheduler"), aws("sqs")
        self.cluster = self.ecs.create_cluster(clusterName="nightly")["cluster"]["clusterArn"]

    def define(self, family: str, program: str) -> str:
        container = {"name": "job", "image": BASE_IMAGE, "essential": True, "command": ["python3", "-c", program]}
        made = self.ecs.register_task_definition(
            family=family,
            containerDefinitions=[container],
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def create(self, name: str, expression: str, definition: str, state: str = "ENABLED", **target: Any) -> None:
        parameters = {
            "TaskDefinitionArn": definition,
            "LaunchType": "FARGATE",
            "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": ["subnet-1"], "AssignPublicIp": "DISABLED"}},
        }
        self.scheduler.create_schedule(
            Name=name,
            ScheduleExpression=expression,
            State=state,
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": self.cluster, "RoleArn": ROLE, "EcsParameters": parameters, **target},
        )

    def tasks(self, name: str) -> list[Any]:
        found = []
        for status in ("RUNNING", "STOPPED"):
            arns = self.ecs.list_tasks(cluster=self.cluster, desiredStatus=status)["taskArns"]
            found += self.ecs.describe_tasks(cluster=self.cluster, tasks=arns)["tasks"] if arns else []
        return [task for task in found if task["startedBy"] == f"chronos-schedule/{name}"]

    def ended(self, name: str) -> list[Any]:
        return [task for task in self.tasks(name) if task["lastStatus"] == "STOPPED"]


@pytest.fixture(scope="module")
def nightly(aws: Aws) -> Nightly:
    return Nightly(aws)


def soon(seconds: float = 4) -> str:
    return f"at({datetime.fromtimestamp(time.time() + seconds, UTC):%Y-%m-%dT%H:%M:%S})"


@pytest.mark.e2e
def test_a_schedule_runs_its_task_and_a_disabled_one_does_not(nightly: Nightly) -> None:
    definition = nightly.define("job", "import os, sys; sys.exit(int(os.environ['CODE']))")
    overrides = '{"containerOverrides": [{"name": "job", "environment": [{"name": "CODE", "value": "0"}]}]}'
    nightly.create("off", soon(), definition, state="DISABLED", Input=overrides)
    nightly.create("once", soon(), definition, Input=overrides)
    nightly.create("often", "rate(1 hour)", definition, Input=overrides)
    until(lambda: nightly.ended("once") and nightly.ended("often"))
    for task in nightly.ended("once") + nightly.ended("often"):
        assert task["containers"][0]["exitCode"] == 0
        assert task["launchType"] == "FARGATE"
    time.sleep(3)
    assert len(nightly.tasks("once")) == 1
    assert len(nightly.tasks("often")) == 1
    assert nightly.tasks("off") == []


@pytest.mark.e2e
def test_a_task_that_cannot_be_started_is_tried_again_and_then_a_dead_letter(nightly: Nightly) -> None:
    url = nightly.sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
    queue = nightly.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    definition = nightly.define("gone", "pass")
    nightly.ecs.deregister_task_definition(taskDefinition=definition)
    nightly.create(
        "lost",
        "rate(1 hour)",
        definition,
        RetryPolicy={"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60},
        DeadLetterConfig={"Arn": queue},
    )
    (letter,) = until(
        lambda: nightly.sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages"), 20
    )
    told = {name: attribute["StringValue"] for name, attribute in letter["MessageAttributes"].items()}
    assert told["ERROR_CODE"] == "ClientException"
    assert told["RETRY_ATTEMPTS"] == "2"
    assert told["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert definition in letter["Body"]


@pytest.mark.e2e
@pytest.mark.parametrize("expression", ["cron(30 3 * * * *)", "rate(5 fortnights)", "at(tomorrow)", "daily"])
def test_an_expression_that_cannot_be_read_is_refused(nightly: Nightly, expression: str) -> None:
    with pytest.raises(ClientError, match="Invalid Schedule Expression"):
        nightly.create("never", expression, "arn:aws:ecs:us-east-1:000000000000:task-definition/job:1")
