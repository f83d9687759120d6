"""Under the real engine, with a small stack: what has to hold before a service changes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tests.local.engine_stack import Stack

pytestmark = pytest.mark.e2e

PROGRAM = """
import json, time
from infra.release import gate
from infra.release.capacity import Tasks
from infra.release import program

name = "{name}"
look = gate.check_release

def slowly(*arguments):
    if {slow}:
        arguments[-1]("looking for room")
        time.sleep({slow})
    look(*arguments)

gate.check_release = slowly
judge = program.verify

def at_length(aws, service, say, **more):
    seen = judge(aws, service, say, **more)
    if {slow}:
        say("looking at what serves")
        time.sleep({slow})
    return seen

program.verify = at_length
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
room = gate.room_for(
    name, images=["{image}"], architecture="X86_64", tasks=[Tasks(256, {count})], cluster_arn=cluster.arn)
done = gate.migrated(
    name, gate.Step(step.arn, cluster.arn, ["subnet-1"], "sg-1"), room, pulumi.ResourceOptions())
service = aws.ecs.Service(
    "web", name="web", cluster=cluster.arn, task_definition=web.arn, desired_count={count}, launch_type="FARGATE",
    network_configuration={{"subnets": ["subnet-1"]}},
    deployment_circuit_breaker={{"enable": True, "rollback": True}}, wait_for_steady_state=False,
    opts=pulumi.ResourceOptions(hooks=room, depends_on=[done]))
program.verified_on_every_up(service, cluster_arn=cluster.arn, name=service.name, task_definition_arn=web.arn)
for number in range({addresses}):
    aws.ec2.Eip(f"address-{{number}}", domain="vpc", opts=pulumi.ResourceOptions(
        hooks=addresses if number else (addresses := gate.room_for_addresses(name))))
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

    def running(self) -> list[str]:
        """The web's tasks by the revision of their definition."""
        arns = self.ecs.list_tasks(cluster=self.name, serviceName="web", desiredStatus="RUNNING")["taskArns"]
        tasks = self.ecs.describe_tasks(cluster=self.name, tasks=arns)["tasks"] if arns else []
        return [task["taskDefinitionArn"].rpartition(":")[2] for task in tasks]


@pytest.fixture
def release(stack: Stack, aws: Callable[[str], Any]) -> Release:
    return Release(stack, aws)


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


REFUSED = [
    pytest.param({"image": GONE}, "has no image", id="image"),
    pytest.param({"count": 30}, "may have 6 vCPUs", id="vcpus"),
    pytest.param({"addresses": 6}, "may have 5 Elastic IPs", id="addresses"),
]


@pytest.mark.parametrize(("change", "told"), REFUSED)
def test_what_would_stop_a_release_half_way_fails_in_the_preview(
    release: Release, change: dict[str, Any], told: str
) -> None:
    assert "Capacity" not in release.preview()
    assert told in release.preview(code=1, **change)
