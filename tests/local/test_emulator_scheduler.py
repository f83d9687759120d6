"""EventBridge Scheduler: when a schedule is due, that a target of ECS becomes a task, and by whose rights."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from slipway_local.emulator.patches import eventbridge_scheduler
from tests.local.conftest import BASE_IMAGE, until

Aws = Callable[[str], Any]
SCHEDULER = "scheduler.amazonaws.com"
RUN_TASK = {"Effect": "Allow", "Action": "ecs:RunTask", "Resource": "*"}
DEAD_LETTERS = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}


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
    found = eventbridge_scheduler.next_run_time(schedule, at(last) if last else None)
    assert found == (at(expected) if expected else None)


def test_a_change_makes_up_for_nothing_and_an_end_is_the_end() -> None:
    schedule = {
        "ScheduleExpression": "cron(0 3 * * ? *)",
        "CreationDate": at("2026-01-01T00:00:00"),
        "LastModificationDate": at("2026-02-01T12:00:00"),  # enabled again after a month
    }
    last = at("2026-01-01T03:00:00")
    assert eventbridge_scheduler.next_run_time(schedule, last) == at("2026-02-02T03:00:00")
    assert eventbridge_scheduler.next_run_time(schedule | {"EndDate": at("2026-02-02T00:00:00")}, last) is None


class Nightly:
    """Schedules of one cluster, and the tasks that they started."""

    def __init__(self, aws: Aws) -> None:
        self.ecs = aws("ecs")
        self.scheduler = aws("scheduler")
        self.sqs = aws("sqs")
        self.iam = aws("iam")
        self.role = self.make_role(RUN_TASK, DEAD_LETTERS)
        self.cluster = self.ecs.create_cluster(clusterName="nightly")["cluster"]["clusterArn"]

    def make_role(self, *statements: dict[str, Any], service: str = SCHEDULER, **condition: Any) -> str:
        """A role that a service may assume under a condition."""
        name = f"role-{os.urandom(4).hex()}"
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole", **condition}
        document = {"Version": "2012-10-17", "Statement": [trust]}
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
            self.iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy)
        return str(made["Role"]["Arn"])

    def make_queue(self, name: str) -> tuple[str, str]:
        """URL and ARN of a new queue."""
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        return url, self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def letter(self, url: str) -> dict[str, str]:
        """What the attributes of a dead letter say, which is waited for."""
        (message,) = until(
            lambda: self.sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages"), 20
        )
        values = {name: attribute["StringValue"] for name, attribute in message["MessageAttributes"].items()}
        return values | {"body": message["Body"]}

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
            Target={"Arn": self.cluster, "RoleArn": self.role, "EcsParameters": parameters, **target},
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
    url, queue = nightly.make_queue("dead-letters")
    definition = nightly.define("gone", "pass")
    nightly.ecs.deregister_task_definition(taskDefinition=definition)
    nightly.create(
        "lost",
        "rate(1 hour)",
        definition,
        RetryPolicy={"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60},
        DeadLetterConfig={"Arn": queue},
    )
    letter = nightly.letter(url)
    assert letter["ERROR_CODE"] == "ClientException"
    assert letter["RETRY_ATTEMPTS"] == "2"
    assert letter["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert definition in letter["body"]


@pytest.mark.e2e
def test_a_role_without_the_right_to_run_the_task_starts_none_and_the_dead_letter_says_why(nightly: Nightly) -> None:
    url, queue = nightly.make_queue("refused")
    mute_url, mute_queue = nightly.make_queue("mute")
    definition = nightly.define("job-of-nobody", "pass")
    at_once = {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
    elsewhere = {"ArnEquals": {"ecs:cluster": nightly.cluster + "-2"}}
    role = nightly.make_role({**RUN_TASK, "Condition": elsewhere}, DEAD_LETTERS)
    mute = nightly.make_role()
    roles = {"refused": (role, queue), "mute": (mute, mute_queue)}
    for name, (arn, letters) in roles.items():
        target = {"RoleArn": arn, "RetryPolicy": at_once, "DeadLetterConfig": {"Arn": letters}}
        nightly.create(name, "rate(1 hour)", definition, **target)
    letter = nightly.letter(url)
    assert letter["ERROR_CODE"] == "AccessDeniedException"
    assert f"assumed-role/{role.rpartition('/')[2]}/" in letter["ERROR_MESSAGE"]
    assert f"is not authorized to perform: ecs:RunTask on resource: {definition}" in letter["ERROR_MESSAGE"]
    time.sleep(2)
    assert nightly.tasks("refused") + nightly.tasks("mute") == []
    assert "Messages" not in nightly.sqs.receive_message(QueueUrl=mute_url)


@pytest.mark.e2e
def test_a_role_that_scheduler_may_not_assume_is_refused_with_the_schedule(nightly: Nightly) -> None:
    definition = nightly.define("job-of-another", "pass")
    group = "arn:aws:scheduler:us-east-1:000000000000:schedule-group/default"
    own = nightly.make_role(RUN_TASK, Condition={"StringEquals": {"aws:SourceArn": group}})
    nightly.create("trusted", "rate(1 day)", definition, state="DISABLED", RoleArn=own)
    of_another_group = nightly.make_role(RUN_TASK, Condition={"StringEquals": {"aws:SourceArn": group + "-2"}})
    of_ecs = nightly.make_role(RUN_TASK, service="ecs-tasks.amazonaws.com")
    for role in (of_ecs, of_another_group, "arn:aws:iam::000000000000:role/nobody"):
        with pytest.raises(ClientError, match="must allow AWS EventBridge Scheduler to assume the role"):
            nightly.create("untrusted", "rate(1 day)", definition, RoleArn=role)


@pytest.mark.e2e
@pytest.mark.parametrize("expression", ["cron(30 3 * * * *)", "rate(5 fortnights)", "at(tomorrow)", "daily"])
def test_an_expression_that_cannot_be_read_is_refused(nightly: Nightly, expression: str) -> None:
    with pytest.raises(ClientError, match="Invalid Schedule Expression"):
        nightly.create("never", expression, "arn:aws:ecs:us-east-1:000000000000:task-definition/job:1")
