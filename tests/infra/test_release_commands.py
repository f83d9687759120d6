"""Which image `slipway rollback` goes back to, and what a release is called."""

from __future__ import annotations

from typing import Any

import pytest

from infra.containers import git_revision, release_name
from infra.errors import SlipwayError
from infra.release import commands, deployments
from infra.release.deployments import Past
from infra.release.stack import Stack

NONE: Any = None
STACK = Stack("prod", NONE, "arn:aws:ecs:eu-central-1:111122223333:cluster/shop", {"web": "shop-web"}, {})


def past(number: int, digest: str, result: str = "SUCCESSFUL") -> Past:
    return Past(f"2026-11-{number:02}T00:00:00+00:00", result, 60.0, digest, "abc", f"abc-{digest}", f"web:{number}")


def ending_with(monkeypatch: pytest.MonkeyPatch, *history: Past) -> None:
    monkeypatch.setattr(deployments, "past", lambda *_: list(history))


def test_a_rollback_goes_to_the_last_success_with_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    ending_with(
        monkeypatch,
        past(5, "new", "ROLLBACK_SUCCESSFUL"),
        past(4, "new"),
        past(3, "broken", "ROLLBACK_SUCCESSFUL"),
        past(2, "good"),
        past(1, "older"),
    )
    assert commands.target(STACK, None).digest == "good"
    assert commands.target(STACK, "older").task_definition == "web:1"


def test_a_digest_that_never_served_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ending_with(monkeypatch, past(2, "new"), past(1, "broken", "ROLLBACK_SUCCESSFUL"))
    for digest in (None, "broken", "unknown"):
        with pytest.raises(SlipwayError, match="no successful one"):
            commands.target(STACK, digest)


def test_a_stack_without_a_release_step_says_so() -> None:
    with pytest.raises(SlipwayError, match="has no release step"):
        commands.migrate(STACK, print)


@pytest.mark.parametrize(("revision", "called"), [("1a2b3c", "1a2b3c-0123456789ab"), ("", "0123456789ab")])
def test_a_release_is_called_by_its_sources_and_its_image(revision: str, called: str) -> None:
    assert release_name("registry/app@sha256:0123456789abcdef", revision) == called


def test_sources_that_git_does_not_know_have_no_revision() -> None:
    assert git_revision("no-such-folder") == ""
