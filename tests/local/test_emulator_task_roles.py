"""The two roles of a task: its containers have credentials of the one and no keys, and ECS starts it with the other."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from slipway_local.emulator.process import Emulator
from tests.local.conftest import until
from tests.local.ecs_tasks import SLEEP, Tasks, python

pytestmark = pytest.mark.e2e
Aws = Callable[[str], Any]
ECS = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
URI_VARIABLE = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI="
PRINT_CREDENTIALS = """
import os, time, urllib.request
assert "AWS_ACCESS_KEY_ID" not in os.environ
uri = "http://169.254.170.2" + os.environ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]
print(urllib.request.urlopen(uri).read().decode(), flush=True)
import signal, sys
signal.signal(15, lambda *_: sys.exit(0))
time.sleep(600)
"""


@pytest.fixture(scope="module")
def tasks(aws: Aws, engine: Any) -> Tasks:
    return Tasks(aws, engine)


def make_role(aws: Aws, *statements: dict[str, Any], trust: dict[str, Any] = ECS) -> str:
    name = f"role-{os.urandom(4).hex()}"
    document = {"Version": "2012-10-17", "Statement": [trust]}
    role = aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))["Role"]
    if statements:
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        aws("iam").put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy)
    return str(role["Arn"])


def printed(tasks: Tasks, arn: str) -> dict[str, Any]:
    container = tasks.containers(arn)["web"]
    parsed: dict[str, Any] = json.loads(until(lambda: container.logs().decode()))
    return parsed


def test_a_container_has_its_task_roles_credentials_until_it_ends(
    tasks: Tasks, aws: Aws, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = make_role(aws, {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"})
    arn = tasks.run({"name": "web", "command": python(PRINT_CREDENTIALS)}, taskRoleArn=role)
    tasks.reaches(arn, "RUNNING")
    given = printed(tasks, arn)
    assert given["RoleArn"] == role
    environment = tasks.containers(arn)["web"].attrs["Config"]["Env"]
    uri = next(line.removeprefix(URI_VARIABLE) for line in environment if line.startswith(URI_VARIABLE))
    monkeypatch.setenv(URI_VARIABLE.rstrip("="), uri)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    session = boto3.Session(region_name="us-east-1")
    identity = session.client("sts", endpoint_url=emulator.endpoint).get_caller_identity()
    assert identity["Arn"] == f"{role.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/{arn[-36:]}"
    session.client("s3", endpoint_url=emulator.endpoint).list_buckets()
    with pytest.raises(tasks.ecs.exceptions.ClientError, match="is not authorized to perform: sqs:ListQueues"):
        session.client("sqs", endpoint_url=emulator.endpoint).list_queues()
    tasks.stop(arn)
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://169.254.170.2{uri}")


def test_a_task_without_a_role_has_no_credentials(tasks: Tasks) -> None:
    check = python("import os; assert not [n for n in os.environ if 'CREDENTIALS' in n or 'ACCESS_KEY' in n]")
    assert tasks.reaches(tasks.run({"name": "web", "command": check}), "STOPPED")["containers"][0]["exitCode"] == 0


@pytest.mark.parametrize("kind", ["taskRoleArn", "executionRoleArn"])
def test_a_role_that_ecs_may_not_assume_starts_no_task(tasks: Tasks, aws: Aws, kind: str) -> None:
    other = ECS | {"Principal": {"Service": "lambda.amazonaws.com"}}
    role = make_role(aws, trust=other)
    ended = tasks.reaches(tasks.run({"name": "web", "command": SLEEP}, **{kind: role}), "STOPPED")
    assert ended["stopCode"] == "TaskFailedToStart"
    assert ended["stoppedReason"].startswith(f"ECS was unable to assume the role '{role}'")


def test_a_secret_that_the_execution_role_may_not_read_starts_no_task(tasks: Tasks, aws: Aws) -> None:
    secret = aws("secretsmanager").create_secret(Name="closed", SecretString="x")["ARN"]
    container = {"name": "web", "command": SLEEP, "secrets": [{"name": "TOKEN", "valueFrom": secret}]}
    ended = tasks.reaches(tasks.run(container, executionRoleArn=make_role(aws)), "STOPPED")
    assert ended["stoppedReason"].startswith(
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
        f"unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret {secret} "
        "from secrets manager: AccessDeniedException: User: arn:aws:sts::000000000000:assumed-role/"
    )
    assert (
        f"is not authorized to perform: secretsmanager:GetSecretValue on resource: {secret}" in ended["stoppedReason"]
    )


def test_a_parameter_that_the_execution_role_may_read_reaches_the_container(tasks: Tasks, aws: Aws) -> None:
    aws("ssm").put_parameter(Name="/shop/token", Value="plain words", Type="String")
    parameter = "arn:aws:ssm:us-east-1:000000000000:parameter/shop/token"
    check = python("import os; assert os.environ['TOKEN'] == 'plain words'")
    container = {"name": "web", "command": check, "secrets": [{"name": "TOKEN", "valueFrom": parameter}]}
    reads = make_role(aws, {"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": parameter})
    ended = tasks.reaches(tasks.run(container, executionRoleArn=reads), "STOPPED")
    assert ended["containers"][0]["exitCode"] == 0
    ended = tasks.reaches(tasks.run(container, executionRoleArn=make_role(aws)), "STOPPED")
    assert "unable to retrieve secrets from ssm" in ended["stoppedReason"]
    assert "is not authorized to perform: ssm:GetParameters" in ended["stoppedReason"]
