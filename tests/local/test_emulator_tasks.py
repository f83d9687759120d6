"""What ECS does with one task, and ministack alone does not: each test fails without infra/local/emulator/ecs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from infra.local.emulator.ecs.tasks import StartFailure, start_order
from tests.local.conftest import BASE_IMAGE, until

pytestmark = pytest.mark.e2e
Aws = Callable[[str], Any]


class Tasks:
    """Runs task definitions of a cluster."""

    def __init__(self, aws: Aws, engine: Any) -> None:
        self.ecs, self.engine = aws("ecs"), engine
        self.cluster = self.ecs.create_cluster(clusterName="tasks")["cluster"]["clusterArn"]

    def run(self, *containers: dict[str, Any], **more: Any) -> str:
        definitions = [{"image": BASE_IMAGE, "essential": True, **container} for container in containers]
        self.ecs.register_task_definition(
            family="task",
            containerDefinitions=definitions,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            **more,
        )
        started = self.ecs.run_task(cluster=self.cluster, taskDefinition="task", launchType="FARGATE")
        return str(started["tasks"][0]["taskArn"])

    def get(self, arn: str) -> Any:
        return self.ecs.describe_tasks(cluster=self.cluster, tasks=[arn])["tasks"][0]

    def reaches(self, arn: str, status: str, seconds: float = 60) -> Any:
        until(lambda: self.get(arn)["lastStatus"] == status, seconds)
        return self.get(arn)

    def containers(self, arn: str) -> dict[str, Any]:
        mine = {"label": f"slipway.task={arn.rsplit('/', 1)[-1]}"}
        found = self.engine.containers.list(all=True, filters=mine)
        return {container.labels["slipway.container"]: container for container in found}

    def stop(self, arn: str) -> Any:
        self.ecs.stop_task(cluster=self.cluster, task=arn)
        return self.reaches(arn, "STOPPED")


@pytest.fixture(scope="module")
def tasks(aws: Aws, engine: Any) -> Tasks:
    return Tasks(aws, engine)


def python(program: str) -> list[str]:
    return ["python3", "-c", program]


SLEEP = python("import time, signal, sys; signal.signal(15, lambda *_: sys.exit(0)); time.sleep(600)")


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
    config, host = container.attrs["Config"], container.attrs["HostConfig"]
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


def test_a_missing_secret_is_the_reason_why_a_task_does_not_start(tasks: Tasks) -> None:
    arn = tasks.run({"name": "web", "command": SLEEP, "secrets": [{"name": "TOKEN", "valueFrom": "/nowhere"}]})
    ended = tasks.reaches(arn, "STOPPED")
    assert ended["stopCode"] == "TaskFailedToStart"
    assert "ResourceInitializationError" in ended["stoppedReason"]


def test_what_would_be_ignored_is_refused(tasks: Tasks) -> None:
    with pytest.raises(tasks.ecs.exceptions.ClientException, match="links"):
        tasks.run({"name": "web", "command": SLEEP, "links": ["other"]})


def test_containers_start_behind_what_they_depend_on() -> None:
    web = {"name": "web", "dependsOn": [{"containerName": "init", "condition": "SUCCESS"}]}
    assert start_order([web, {"name": "init"}]) == ["init", "web"]
    with pytest.raises(StartFailure, match="web"):
        start_order([web])


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
