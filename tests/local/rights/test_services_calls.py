"""What a service does in the name of a role, and whether it may assume it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from slipway_local.rights.authorizer import Authorizer
from slipway_local.rights.aws_state import Identity
from slipway_local.rights.sts_calls import Sessions
from tests.local.rights.fakes import ACCOUNT, REGION, FakeState, allow, policy

SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:db-AbCdEf"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"
DEFINITION = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/job:7"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/execution"
TASK = f"arn:aws:iam::{ACCOUNT}:role/task"


def authorizer(*statements: dict[str, Any], trust: Any = None) -> Authorizer:
    role = Identity(ROLE, ACCOUNT, [("own", policy(*statements))], trust=policy(trust) if trust else None)
    state = FakeState(
        roles={"execution": role},
        encrypted={SECRET: KEY},
        secrets={SECRET: SECRET},
        definitions={DEFINITION: [TASK]},
    )
    return Authorizer(state, cast("Sessions", None))


def test_a_containers_secret_needs_the_secret_and_its_key() -> None:
    reads = allow("secretsmanager:GetSecretValue", SECRET)
    call = (ROLE, "task-id", REGION, "secretsmanager", "GetSecretValue", {"SecretId": SECRET})
    assert "secretsmanager:GetSecretValue" in str(authorizer().denial(*call))
    assert f"assumed-role/execution/task-id is not authorized to perform: kms:Decrypt on resource: {KEY}" in str(
        authorizer(reads).denial(*call)
    )
    through = {"StringEquals": {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}}
    complete = authorizer(reads, allow("kms:Decrypt", KEY, Condition=through))
    assert complete.denial(*call) is None
    assert [use.action for use in complete.usage.uses(ROLE)] == ["kms:Decrypt", "secretsmanager:GetSecretValue"]


def test_a_schedules_role_runs_the_task_and_passes_its_roles() -> None:
    call = (ROLE, "schedule", REGION, "ecs", "RunTask", {"taskDefinition": DEFINITION, "cluster": "c"})
    cluster = {"ArnEquals": {"ecs:cluster": f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/c"}}
    runs = allow("ecs:RunTask", DEFINITION.replace(":7", ":*"), Condition=cluster)
    assert f"iam:PassRole on resource: {TASK}" in str(authorizer(runs).denial(*call))
    passes = allow("iam:PassRole", TASK)
    assert authorizer(runs, passes).denial(*call) is None
    tagging = (*call[:-1], {**call[-1], "propagateTags": "TASK_DEFINITION"})
    task = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/c/*"
    assert f"ecs:TagResource on resource: {task}" in str(authorizer(runs, passes).denial(*tagging))
    tags = allow("ecs:TagResource", task, Condition={"StringEquals": {"ecs:CreateAction": "RunTask"}})
    assert authorizer(runs, passes, tags).denial(*tagging) is None


def test_a_role_that_is_not_there_may_nothing() -> None:
    assert authorizer(allow("*")).denial(TASK, "x", REGION, "s3", "ListBuckets", {}) is not None
    assert authorizer(allow("*")).denial(ROLE, "x", REGION, "nosuchservice", "X", {}) is not None
    assert authorizer(allow("*")).denial(ROLE, "x", REGION, "ecr", "ListImageReferrers", {}) is not None
    assert authorizer(allow("*")).denial(ROLE, "x", REGION, "s3", "ListBuckets", {}) is None


@pytest.mark.parametrize(
    ("host", "source", "is_trusted"),
    [
        ("ecs-tasks.amazonaws.com", f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/c/x", True),
        ("ecs-tasks.amazonaws.com", f"arn:aws:ecs:us-east-1:{ACCOUNT}:task/c/x", False),
        ("ecs-tasks.amazonaws.com", "", False),
        ("scheduler.amazonaws.com", f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/c/x", False),
    ],
)
def test_the_trust_policy_says_which_service_assumes_a_role(host: str, source: str, is_trusted: bool) -> None:
    condition = {
        "ArnLike": {"aws:SourceArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:*"},
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
    }
    service = {"Service": "ecs-tasks.amazonaws.com"}
    trust = {"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole", "Condition": condition}
    assert authorizer(trust=trust).service_may_assume(ROLE, host, source) is is_trusted
    assert not authorizer().service_may_assume(ROLE, host, source)
    assert not authorizer(trust=trust).service_may_assume(TASK, host, source)
