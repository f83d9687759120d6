"""What ECS does with one task, and ministack alone does not: each test fails without infra/local/emulator/ecs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from infra.local.emulator.ecs.dependencies import layers, refused
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


def test_a_secret_is_of_the_version_that_the_definition_names(tasks: Tasks, aws: Aws) -> None:
    secrets = aws("secretsmanager")
    made = secrets.create_secret(Name="turning", SecretString='{"token": "first"}')
    secret, first = made["ARN"], made["VersionId"]
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


def test_a_task_that_is_stopped_while_it_starts_leaves_nothing_and_keeps_the_reason(tasks: Tasks) -> None:
    arn = tasks.run(behind("SUCCESS"), first("import time; time.sleep(600)", stopTimeout=2))
    until(lambda: "prepare" in tasks.containers(arn))
    tasks.ecs.stop_task(cluster=tasks.cluster, task=arn, reason="not wanted")
    ended = tasks.reaches(arn, "STOPPED")
    assert (ended["stopCode"], ended["stoppedReason"]) == ("UserInitiated", "not wanted")
    assert tasks.containers(arn) == {}


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


def test_a_dependency_that_ecs_does_not_take_is_refused(tasks: Tasks) -> None:
    with pytest.raises(tasks.ecs.exceptions.ClientException, match="essential container"):
        tasks.run(behind("SUCCESS"), first("pass") | {"essential": True})


def by_name(task: Any) -> dict[str, Any]:
    return {container["name"]: container for container in task["containers"]}


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
    assert told in refused([web, {"name": "prepare"} | other])


def test_containers_start_behind_what_they_depend_on() -> None:
    web = {"name": "web", "dependsOn": [{"containerName": "init", "condition": "SUCCESS"}]}
    assert layers([web, {"name": "init"}, {"name": "redis"}]) == [["init", "redis"], ["web"]]


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
