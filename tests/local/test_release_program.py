"""Under the real engine: every `up` looks at what serves, also one that changes nothing. One stack serves all tests."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.local.conftest import BASE_IMAGE, until
from tests.local.engine_stack import Stack

pytestmark = pytest.mark.e2e

PROGRAM = """
import json
from slipway.release.post_deploy_verification import verify_rollout_on_every_up

cluster = aws.ecs.Cluster("main", name="probe")
definition = aws.ecs.TaskDefinition(
    "web", family="probe", requires_compatibilities=["FARGATE"], network_mode="awsvpc", cpu="256", memory="512",
    skip_destroy=True, container_definitions=json.dumps([{
        "name": "web", "image": "python:3.11-slim", "essential": True, "stopTimeout": 2,
        "command": ["python3", "-u", "-c", "import time; RUN"]}]))
service = aws.ecs.Service(
    "web", name="web", cluster=cluster.arn, task_definition=definition.arn, desired_count=1, launch_type="FARGATE",
    network_configuration={"subnets": ["subnet-1"]},
    deployment_circuit_breaker={"enable": True, "rollback": True}, wait_for_steady_state=False)
verify_rollout_on_every_up(
    service, cluster_arn=cluster.arn, name=service.name, task_definition_arn=definition.arn, settle_seconds=25)
"""
DIES = "time.sleep(12); raise SystemExit(9)"
GOOD, BAD = "time.sleep(600)", "print('about to fall'); time.sleep(1); raise SystemExit(3)"


class Service:
    """A stack with one service."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def up(self, run: str, code: int = 0) -> str:
        self.stack.program(PROGRAM.replace("RUN", run))
        return self.stack.up(code)


@pytest.fixture(scope="module")
def running(shared_stack: Stack) -> Service:
    service = Service(shared_stack)
    said = service.up(GOOD)
    assert "web rolling out: 0 pending, 1 running" in said
    assert "web runs probe:1, verified" in said
    return service


def test_an_up_that_changes_nothing_looks_all_the_same(running: Service) -> None:
    said = running.up(GOOD)
    assert "4 unchanged" in said
    assert "web runs probe:1, verified" in said


def test_after_a_rollback_no_up_says_success_until_it_is_mended(running: Service) -> None:
    for _ in range(2):
        said = running.up(BAD, code=1)
        assert "ECS rolled back to the previous revision" in said
        assert "slipway rollback probe" in said
        assert "web exited with 3" in said
        assert "Traceback" not in said
        assert "runtime error" not in said  # of the exit code: the reason was shown already
    assert "web runs probe:3, verified" in running.up(GOOD + "; pass")


def test_a_change_by_hand_is_said_and_put_back(running: Service, aws: Callable[[str], Any]) -> None:
    ecs = aws("ecs")
    container = {"name": "web", "image": BASE_IMAGE, "command": ["sleep", "600"]}
    made = ecs.register_task_definition(family="by-hand", containerDefinitions=[container], cpu="256", memory="512")
    other = made["taskDefinition"]["taskDefinitionArn"]
    ecs.update_service(cluster="probe", service="web", taskDefinition=other)

    def ended() -> bool:
        listed = ecs.list_service_deployments(cluster="probe", service="web")["serviceDeployments"]
        return bool(listed[0]["status"] == "SUCCESSFUL")

    until(ended)
    assert "by-hand:1 was deployed to web" in running.up(GOOD + "; pass")
    (service,) = ecs.describe_services(cluster="probe", services=["web"])["services"]
    assert service["taskDefinition"].endswith("probe:3")


def test_what_dies_after_its_rollout_fails_the_release_and_the_revision_before_serves_again(running: Service) -> None:
    """The service has no health check, so ECS calls the rollout successful."""
    said = running.up(DIES, code=1)
    former = re.search(r"fail later, before they are 25 s old \(settleSeconds\); rolled back to (probe:\d+)", said)
    assert former, said
    assert said[said.index("Diagnostics:") :].count("web exited with 9") == 1
    assert f"Running now: 1 of {former[1]}." in said
    assert "Traceback" not in said
    assert "web runs probe:" in running.up(GOOD + "; pass; pass")


def test_an_up_on_a_pinned_rollback_says_so_at_its_end(running: Service) -> None:
    running.stack.run("config", "set", "rollbackTo", "sha256:0123456789abcdef", "--stack", "probe")
    said = running.up(GOOD + "; pass; pass")
    running.stack.run("config", "rm", "rollbackTo", "--stack", "probe")
    at_the_end = said[said.index("Diagnostics:") :]
    assert "THE SOURCES WERE NOT DEPLOYED" in at_the_end
    assert "slipway rollback probe --end" in at_the_end


def test_a_preview_looks_at_nothing(running: Service) -> None:
    assert "verified" not in running.stack.run("preview", "--stack", "probe")
