"""What the program changes once its rollouts are verified: on an `up`, and never in a preview."""

from __future__ import annotations

import asyncio
from typing import Any

import pulumi
import pytest

from slipway.release import post_deploy_verification
from slipway.release.post_deploy_verification import change_on_every_up


@pytest.mark.parametrize(("is_preview", "changed"), [(False, ["arn:lb"]), (True, [])])
def test_a_preview_changes_nothing(monkeypatch: pytest.MonkeyPatch, is_preview: bool, changed: list[str]) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: is_preview)
    monkeypatch.setattr(post_deploy_verification, "open_stack_aws_session", lambda: None)
    done: list[str] = []

    async def run() -> Any:
        ready = [pulumi.Output.from_input("verified")]
        return await change_on_every_up("arn:lb", ready, lambda _, resource, __: done.append(resource), 60).future()

    assert asyncio.run(run()) == 60
    assert done == changed
