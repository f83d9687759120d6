"""Which image `slipway rollback` goes back to, and what a release is called."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from slipway.cli import release_commands
from slipway.cli.main import app
from slipway.config.errors import SlipwayError
from slipway.program.container_env import format_release_name, git_revision
from slipway.release import deployments, operations, rollback, rollout
from slipway.release.deployed_stack import DeployedStack
from slipway.release.deployments import PastDeployment
from slipway.release.rollout import ServiceDeployment
from tests.infra.deployed import Answers

NONE: Any = None
STACK = DeployedStack("prod", NONE, "arn:aws:ecs:eu-central-1:111122223333:cluster/shop", {"web": "shop-web"}, {})


def past(number: int, digest: str, result: str = "SUCCESSFUL") -> PastDeployment:
    return PastDeployment(
        f"2026-11-{number:02}T00:00:00+00:00", result, 60.0, digest, "abc", f"abc-{digest}", f"web:{number}"
    )


def ending_with(monkeypatch: pytest.MonkeyPatch, *history: PastDeployment) -> None:
    monkeypatch.setattr(deployments, "list_past_deployments", lambda *_: list(history))
    monkeypatch.setattr(rollback, "_find_current_target", lambda *_: None)


def test_a_rollback_goes_to_the_last_success_with_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    ending_with(
        monkeypatch,
        past(5, "new", "ROLLBACK_SUCCESSFUL"),
        past(4, "new"),
        past(3, "broken", "ROLLBACK_SUCCESSFUL"),
        past(2, "good"),
        past(1, "older"),
    )
    assert rollback.plan_rollback(STACK).target.digest == "good"
    assert rollback.plan_rollback(STACK, "older").target.task_definition == "web:1"


def test_past_deployments_are_what_ecs_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [
        ServiceDeployment("arn:2", "IN_PROGRESS", "", "revision", "web:2", 1_790_000_000.0, None),
        ServiceDeployment("arn:1", "SUCCESSFUL", "", "revision", "web:1", 1_780_000_000.0, 61.0),
    ]
    asked: list[int] = []
    monkeypatch.setattr(rollout, "get_service_deployments", lambda _, __, ___, limit: asked.append(limit) or listed)

    def definition(taskDefinition: str) -> Any:
        release = {"name": "RELEASE", "value": f"abc-{taskDefinition[-1]}"}
        web = {"image": f"registry/app@sha256:{taskDefinition[-1]}", "environment": [release]}
        return {"taskDefinition": {"containerDefinitions": [{"image": "redis:8"}, web]}}

    aws: Any = Answers({"describe_task_definition": definition})
    history = deployments.list_past_deployments(aws, "arn:cluster", "shop-web", 5)
    assert asked == [5]
    assert history == [
        PastDeployment("2026-09-21T14:13:20+00:00", "IN_PROGRESS", None, "sha256:2", "abc", "abc-2", "web:2"),
        PastDeployment("2026-05-28T20:26:40+00:00", "SUCCESSFUL", 61.0, "sha256:1", "abc", "abc-1", "web:1"),
    ]


def test_a_deployment_is_one_line_also_where_the_terminal_is_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    ending_with(monkeypatch, past(5, f"sha256:{'0123456789ab' * 5}0123", "ROLLBACK_SUCCESSFUL"))
    monkeypatch.setattr(release_commands, "open_local_or_aws_stack", lambda _: STACK)
    printed = CliRunner().invoke(app, ["deployments", "prod"], env={"COLUMNS": "80"}).stdout
    (row,) = (line.split() for line in printed.splitlines()[1:])
    assert row == ["2026-11-05", "00:00:00", "web", "ROLLBACK_SUCCESSFUL", "60", "abc", "sha256:0123456789ab"]


def test_a_digest_that_never_served_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ending_with(monkeypatch, past(2, "new"), past(1, "broken", "ROLLBACK_SUCCESSFUL"))
    for digest in (None, "broken", "unknown"):
        with pytest.raises(SlipwayError, match="no successful one"):
            rollback.plan_rollback(STACK, digest)


def test_a_stack_without_a_release_step_says_so() -> None:
    with pytest.raises(SlipwayError, match="has no release task"):
        operations.run_release_task(STACK, print)


@pytest.mark.parametrize(
    ("services", "process"),
    [({"worker": "w", "web": "s"}, "web"), ({"worker": "w", "api": "a"}, "worker"), ({}, "")],
)
def test_without_a_name_a_command_means_web_else_the_first_process(services: dict[str, str], process: str) -> None:
    assert DeployedStack("prod", NONE, "arn:cluster", services, {}).default_process == process


@pytest.mark.parametrize(("revision", "called"), [("1a2b3c", "1a2b3c-0123456789ab"), ("", "0123456789ab")])
def test_a_release_is_called_by_its_sources_and_its_image(revision: str, called: str) -> None:
    assert format_release_name("registry/app@sha256:0123456789abcdef", revision) == called


def test_sources_that_git_does_not_know_have_no_revision() -> None:
    assert git_revision("no-such-folder") == ""
