"""What ECS does with one task and ministack alone does not: each test fails without slipway_local/emulator/ecs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.local.conftest import until
from tests.local.ecs_tasks import SLEEP, Tasks, python

pytestmark = pytest.mark.e2e
Aws = Callable[[str], Any]


@pytest.fixture(scope="module")
def tasks(aws: Aws, engine: Any) -> Tasks:
    return Tasks(aws, engine)


def test_a_container_runs_with_every_option_of_its_definition(tasks: Tasks) -> None:
    arn = tasks.run(
        {
            "name": "web",
            "entryPoint": ["python3"],
            "command": SLEEP[1:],
            "user": "10001:10001",
            "workingDirectory": "/usr",
            "readonlyRootFilesystem": True,
            "memory": 128,
            "ulimits": [{"name": "nofile", "softLimit": 2048, "hardLimit": 4096}],
            "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}},
        }
    )
    tasks.reaches(arn, "RUNNING")
    container = tasks.containers(arn)["web"]
    config = container.attrs["Config"]
    host = container.attrs["HostConfig"]
    assert config["Entrypoint"] == ["python3"]
    assert config["User"] == "10001:10001"
    assert config["WorkingDir"] == "/usr"
    assert host["ReadonlyRootfs"]
    assert host["Init"]
    assert host["CapDrop"] == ["ALL"]
    assert host["Memory"] == 128 * 1024 * 1024
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 2048, "Hard": 4096}]
    tasks.stop(arn)


def test_the_health_check_of_a_container_is_the_tasks_health(tasks: Tasks) -> None:
    check = {"command": ["CMD", "true"], "interval": 5, "timeout": 2, "retries": 1}
    arn = tasks.run({"name": "web", "command": SLEEP, "healthCheck": check})
    until(lambda: tasks.get(arn)["healthStatus"] == "HEALTHY")
    tasks.stop(arn)


def test_containers_of_a_task_share_localhost_and_volumes_and_start_in_order(tasks: Tasks) -> None:
    prepare = python("open('/shared/ready', 'w').write('yes')")
    serve = python(
        "import http.server as h; h.HTTPServer(('127.0.0.1', 9000), h.SimpleHTTPRequestHandler).serve_forever()"
    )
    ask = "import urllib.request as r; r.urlopen('http://127.0.0.1:9000'); assert open('/shared/ready').read() == 'yes'"
    mount = [{"sourceVolume": "shared", "containerPath": "/shared"}]
    healthy = ["CMD", "python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9000')"]
    arn = tasks.run(
        {
            "name": "client",
            "command": python(ask),
            "mountPoints": mount,
            "dependsOn": [
                {"containerName": "prepare", "condition": "SUCCESS"},
                {"containerName": "server", "condition": "HEALTHY"},
            ],
        },
        {"name": "prepare", "command": prepare, "essential": False, "mountPoints": mount},
        {
            "name": "server",
            "command": serve,
            "essential": False,
            "healthCheck": {"command": healthy, "interval": 5, "timeout": 2, "retries": 3},
        },
        volumes=[{"name": "shared"}],
    )
    ended = tasks.reaches(arn, "STOPPED")
    codes = {container["name"]: container.get("exitCode") for container in ended["containers"]}
    assert codes["client"] == 0
    assert codes["prepare"] == 0
    assert ended["stopCode"] == "EssentialContainerExited"
    assert tasks.containers(arn) == {}, "the sidecar is removed with its task"
    volumes = tasks.engine.volumes.list(filters={"label": f"slipway.task={arn.rsplit('/', 1)[-1]}"})
    assert volumes == []


def test_a_stop_waits_for_the_stop_timeout_and_then_kills(tasks: Tasks) -> None:
    stubborn = python("import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)")
    arn = tasks.run({"name": "web", "command": stubborn, "stopTimeout": 3})
    tasks.reaches(arn, "RUNNING")
    time.sleep(1)  # the program has to have set its signal handler
    before = time.monotonic()
    ended = tasks.stop(arn)
    assert ended["containers"][0]["exitCode"] == 137
    assert time.monotonic() - before >= 3


def test_a_secure_parameter_reaches_the_container_decrypted(tasks: Tasks, aws: Aws) -> None:
    aws("ssm").put_parameter(Name="/token", Value="plain words", Type="SecureString")
    check = python("import os; assert os.environ['TOKEN'] == 'plain words'")
    arn = tasks.run({"name": "web", "command": check, "secrets": [{"name": "TOKEN", "valueFrom": "/token"}]})
    assert tasks.reaches(arn, "STOPPED")["containers"][0]["exitCode"] == 0


def test_a_secret_is_of_the_version_that_the_definition_names(tasks: Tasks, aws: Aws) -> None:
    secrets = aws("secretsmanager")
    made = secrets.create_secret(Name="turning", SecretString='{"token": "first"}')
    secret = made["ARN"]
    first = made["VersionId"]
    secrets.put_secret_value(SecretId=secret, SecretString='{"token": "second"}')
    check = ["sh", "-c", 'test "$OLD $PREVIOUS $NEW" = "first first second"']
    named = {"OLD": f"{secret}:token::{first}", "PREVIOUS": f"{secret}:token:AWSPREVIOUS:", "NEW": f"{secret}:token::"}
    wanted = [{"name": name, "valueFrom": source} for name, source in named.items()]
    arn = tasks.run({"name": "web", "command": check, "secrets": wanted})
    assert tasks.reaches(arn, "STOPPED")["containers"][0]["exitCode"] == 0


NOWHERE = "arn:aws:secretsmanager:us-east-1:000000000000:secret:nowhere-AbCdEf"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "/nowhere",
            "unable to retrieve secrets from ssm: service call has been retried 1 time(s): invalid parameters",
        ),
        (NOWHERE, f"failed to fetch secret {NOWHERE} from secrets manager: ResourceNotFoundException"),
        ("KEPT:missing::", "did not contain json key missing"),
    ],
)
def test_a_missing_secret_stops_a_task_before_its_image_is_pulled(
    tasks: Tasks, aws: Aws, source: str, words: str
) -> None:
    if source.startswith("KEPT"):
        kept = aws("secretsmanager").create_secret(Name="kept", SecretString='{"token": "x"}')["ARN"]
        source = source.replace("KEPT", kept)
    container = {"name": "web", "image": "nowhere:1", "secrets": [{"name": "TOKEN", "valueFrom": source}]}
    ended = tasks.reaches(tasks.run(container), "STOPPED")
    assert ended["stopCode"] == "TaskFailedToStart"
    assert ended["stoppedReason"].startswith("ResourceInitializationError: unable to pull secrets or registry auth: ")
    assert words in ended["stoppedReason"]


def test_what_would_be_ignored_is_refused(tasks: Tasks) -> None:
    with pytest.raises(tasks.ecs.exceptions.ClientException, match="links"):
        tasks.run({"name": "web", "command": SLEEP, "links": ["other"]})


def test_containers_without_an_order_stop_together(tasks: Tasks) -> None:
    stubborn = python("import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)")
    names = ("one", "two", "three")
    arn = tasks.run(*[{"name": name, "command": stubborn, "stopTimeout": 4} for name in names])
    tasks.reaches(arn, "RUNNING")
    time.sleep(1)  # the programs have to have set their signal handlers
    ended = tasks.stop(arn)
    assert (ended["stoppedAt"] - ended["stoppingAt"]).total_seconds() < 8
    assert {container["exitCode"] for container in ended["containers"]} == {137}


def test_a_container_is_named_after_its_family_revision_and_task(tasks: Tasks) -> None:
    arn = tasks.run({"name": "web", "command": SLEEP, "stopTimeout": 2})
    revision = tasks.reaches(arn, "RUNNING")["taskDefinitionArn"].rsplit(":", 1)[-1]
    task = arn.rsplit("/", 1)[-1]
    assert tasks.containers(arn)["web"].name == f"ecs-task-{revision}-web-{task[:8]}"
    tasks.stop(arn)


def test_a_container_that_is_out_of_memory_says_so(tasks: Tasks) -> None:
    arn = tasks.run({"name": "web", "memory": 64, "command": python("x = bytearray(200_000_000)")})
    ended = tasks.reaches(arn, "STOPPED")
    (container,) = ended["containers"]
    assert container["exitCode"] == 137
    assert container["reason"].startswith("OutOfMemoryError")


def test_a_database_instance_has_a_managed_master_password(aws: Aws) -> None:
    rds = aws("rds")
    rds.create_db_instance(
        DBInstanceIdentifier="managed",
        Engine="mysql",  # no image of it is there, so that no server starts: the secret is what is looked at
        DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20,
        MasterUsername="owner",
        ManageMasterUserPassword=True,
    )
    instance = rds.describe_db_instances(DBInstanceIdentifier="managed")["DBInstances"][0]
    arn = instance["MasterUserSecret"]["SecretArn"]
    kept = aws("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    assert '"username": "owner"' in kept
    rds.delete_db_instance(DBInstanceIdentifier="managed", SkipFinalSnapshot=True)
    with pytest.raises(aws("secretsmanager").exceptions.ClientError):
        aws("secretsmanager").get_secret_value(SecretId=arn)
