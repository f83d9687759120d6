"""Under the real engine, with a small stack: what has to hold before a service changes, and an engine that is ended in
the middle of it.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.local.conftest import until
from tests.local.engine_stack import Stack

pytestmark = pytest.mark.e2e

PROGRAM = """
import json, time
from slipway.release import post_deploy_verification, pre_deploy_hooks
from slipway.release.preflight import TaskDemand

name = "{name}"
look = pre_deploy_hooks.check_release

def slowly(*arguments):
    if {slow}:
        arguments[-1]("looking for room")
        time.sleep({slow})
    look(*arguments)

pre_deploy_hooks.check_release = slowly
judge = post_deploy_verification.verify_rollout

def at_length(aws, service, say, **more):
    seen = judge(aws, service, say, **more)
    if {slow}:
        say("looking at what serves")
        time.sleep({slow})
    return seen

post_deploy_verification.verify_rollout = at_length
cluster = aws.ecs.Cluster("main", name=name)
log = aws.cloudwatch.LogGroup("log", name=name)

def definition(label, run):
    container = {{
        "name": label, "image": "python:3.11-slim", "essential": True, "stopTimeout": 2,
        "command": ["python3", "-u", "-c", "import time; " + run],
        "logConfiguration": {{"logDriver": "awslogs", "options": {{
            "awslogs-group": name, "awslogs-region": "us-east-1", "awslogs-stream-prefix": label}}}}}}
    return aws.ecs.TaskDefinition(
        label, family=f"{{name}}-{{label}}", requires_compatibilities=["FARGATE"], network_mode="awsvpc", cpu="256",
        memory="512", skip_destroy=True, container_definitions=json.dumps([container]),
        opts=pulumi.ResourceOptions(depends_on=[log]))

step, web = definition("release", "{migrate}"), definition("web", "time.sleep(600)  # {version}")
room = pre_deploy_hooks.capacity_hook(
    name, images=["{image}"], architecture="X86_64", tasks=[TaskDemand(256, {count})], cluster_arn=cluster.arn)
done = pre_deploy_hooks.run_release_task_on_change(
    name, pre_deploy_hooks.ReleaseTaskRun(step.arn, cluster.arn, ["subnet-1"], "sg-1"), room, pulumi.ResourceOptions())
service = aws.ecs.Service(
    "web", name="web", cluster=cluster.arn, task_definition=web.arn, desired_count={count}, launch_type="FARGATE",
    network_configuration={{"subnets": ["subnet-1"]}},
    deployment_circuit_breaker={{"enable": True, "rollback": True}}, wait_for_steady_state=False,
    opts=pulumi.ResourceOptions(hooks=room, depends_on=[done]))
post_deploy_verification.verify_rollout_on_every_up(
    service, cluster_arn=cluster.arn, name=service.name, task_definition_arn=web.arn, settle_seconds=1)
for number in range({addresses}):
    aws.ec2.Eip(f"address-{{number}}", domain="vpc", opts=pulumi.ResourceOptions(
        hooks=addresses if number else (addresses := pre_deploy_hooks.elastic_ip_quota_hook(name))))
"""
USUAL = {"version": "1", "migrate": "print('migrated')", "count": 1, "slow": 0, "addresses": 0, "image": "elsewhere"}
GONE = "localhost:4566/probe@sha256:" + "0" * 64
_numbers = itertools.count()


class Release:
    """A stack of a service and a migration before it, named after nobody else's."""

    def __init__(self, stack: Stack, aws: Callable[[str], Any]) -> None:
        self.stack, self.ecs, self.name = stack, aws("ecs"), f"gate-{next(_numbers)}"

    def write(self, **changes: Any) -> None:
        self.stack.program(PROGRAM.format(name=self.name, **{**USUAL, **changes}))

    def up(self, code: int = 0, **changes: Any) -> str:
        self.write(**changes)
        return self.stack.up(code)

    def preview(self, code: int = 0, **changes: Any) -> str:
        self.write(**changes)
        return self.stack.run("preview", "--stack", "probe", code=code)

    def migrations(self) -> list[Any]:
        """All that ran, in their order."""
        family = f"{self.name}-release"
        arns = [
            arn
            for status in ("RUNNING", "STOPPED")
            for arn in self.ecs.list_tasks(cluster=self.name, family=family, desiredStatus=status)["taskArns"]
        ]
        tasks = self.ecs.describe_tasks(cluster=self.name, tasks=arns)["tasks"] if arns else []
        return sorted(tasks, key=lambda task: task["createdAt"])

    def revision(self) -> int:
        """Of the web's task definition in the state."""
        found = self.stack.resource("web", "aws:ecs/taskDefinition:TaskDefinition")
        return int(found["outputs"]["revision"])

    def deployments(self) -> list[str]:
        """How each of the service came out, in their order."""
        listed = self.ecs.list_service_deployments(cluster=self.name, service="web")["serviceDeployments"]
        return [each["status"] for each in reversed(listed)]

    def running(self) -> list[str]:
        """The web's tasks by the revision of their definition."""
        arns = self.ecs.list_tasks(cluster=self.name, serviceName="web", desiredStatus="RUNNING")["taskArns"]
        tasks = self.ecs.describe_tasks(cluster=self.name, tasks=arns)["tasks"] if arns else []
        return [task["taskDefinitionArn"].rpartition(":")[2] for task in tasks]

    def up_until(self, phase: str) -> subprocess.Popen[bytes]:
        """An `up` that goes on, and has said `phase`."""
        log = self.stack.root / "up.log"
        with log.open("w") as out:
            engine = subprocess.Popen(
                [self.stack.pulumi, "up", "--yes", "--skip-preview", "--stack", "probe", "--non-interactive"],
                cwd=self.stack.root,
                env=self.stack.env,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(lambda: phase in log.read_text() or engine.poll() is not None, 120)
        assert engine.poll() is None, log.read_text()
        return engine


@pytest.fixture
def release(stack: Stack, aws: Callable[[str], Any]) -> Release:
    return Release(stack, aws)


@pytest.fixture(scope="module")
def serving(shared_stack: Stack, aws: Callable[[str], Any]) -> Release:
    """One that is up; its tests go on from what the former has left."""
    release = Release(shared_stack, aws)
    release.up()
    return release


def test_a_migration_runs_again_only_when_image_command_or_settings_are_others(release: Release) -> None:
    assert "migrated" in release.up()
    release.up(count=2)
    release.up(count=2, version="2")  # of the web alone
    assert len(release.migrations()) == 1
    assert "once more" in release.up(count=2, version="2", migrate="print('once more')")
    assert len(release.migrations()) == 2


def test_after_a_migration_that_failed_nothing_has_changed_and_the_next_up_tries_again(release: Release) -> None:
    release.up()
    for _ in range(2):
        told = release.up(version="2", migrate="print('row 7'); raise SystemExit(3)", code=1)
        assert "row 7" in told
        assert "release exited with 3" in told
        assert release.running() == ["1"]
    release.up(version="2", migrate="print('mended')")
    assert len(release.migrations()) == 4
    assert release.running() == ["2"]


def test_what_would_stop_a_release_half_way_fails_in_the_preview(release: Release) -> None:
    assert "Capacity" not in release.preview()
    assert "has no image" in release.preview(code=1, image=GONE)
    assert "may have 6 vCPUs" in release.preview(code=1, count=30)
    assert "may have 5 Elastic IPs" in release.preview(code=1, addresses=6)


def test_where_there_is_no_room_for_a_release_nothing_is_migrated(release: Release) -> None:
    assert "has no image" in release.up(code=1, image=GONE)
    assert release.migrations() == []


PHASES = [
    pytest.param("looking for room", id="capacity"),
    pytest.param("migrating", id="migrate"),
    pytest.param("web rolling out", id="roll-out"),
    pytest.param("looking at what serves", id="verify"),
]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_after_an_engine_that_was_ended_in_any_phase_the_next_up_goes_on(
    serving: Release, phase: str, how: signal.Signals
) -> None:
    """Nothing is doubled, and no two migrations run at once: one that goes on is followed to its end."""
    version, former_revision = f"{phase} {how.name}", serving.revision()
    migrated, deployed = len(serving.migrations()), len(serving.deployments())
    migrate = f"print('migrating'); time.sleep(6)  # {version}"
    changed = {"count": 2, "version": version, "migrate": migrate, "slow": 4}
    serving.write(**changed)
    engine = serving.up_until(phase)
    if how == signal.SIGINT:
        os.killpg(engine.pid, how)  # as a terminal does
    else:
        engine.send_signal(how)
    assert engine.wait(120) != 0
    if how == signal.SIGKILL:
        serving.stack.run("cancel", "--yes", "--stack", "probe")  # as Pulumi says when it finds the lock
    serving.up(**changed | {"slow": 0})  # nobody has to hit a moment of this one
    ran = serving.migrations()[migrated:]
    for former, later in itertools.pairwise(ran):
        assert former["stoppedAt"] <= later["createdAt"]
    assert 1 <= len(ran) <= 2  # an ended engine does not know how the one that it had begun came out
    assert {task["containers"][0]["exitCode"] for task in ran} == {0}
    until(lambda: serving.running() == [str(former_revision + 1)] * 2)
    assert serving.deployments()[deployed:] == ["SUCCESSFUL"]


def test_of_two_ups_at_once_the_second_is_refused_and_names_the_first(release: Release) -> None:
    release.up()
    release.write(version="2", migrate="print('migrating'); time.sleep(8)")
    first = release.up_until("migrating")
    told = release.stack.up(code=1)
    assert "the stack is currently locked by 1 lock" in told
    assert first.wait(120) == 0
    assert len(release.migrations()) == 2
    assert release.running() == ["2"]
