"""A rollout is told as it ended, also when that falls between two questions."""

from __future__ import annotations

from typing import Any

import pytest

from infra.release import rollout


def deployment(status: str) -> rollout.Deployment:
    return rollout.Deployment("arn", status, "", "revision", "definition", 0.0, None)


@pytest.mark.parametrize("status", ["ROLLBACK_FAILED", "IN_PROGRESS"])
def test_one_that_stalls_is_looked_at_once_more(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """The service says FAILED after its newest deployment was still under way: it may have ended, or not."""
    found = iter([deployment("IN_PROGRESS"), deployment(status)])
    monkeypatch.setattr(rollout, "deployments", lambda *_, **__: [next(found)])
    monkeypatch.setattr(rollout, "progress", lambda *_: rollout.Progress("", stalled=True))
    aws: Any = None
    told = rollout.follow(aws, rollout.Service("cluster", "web", "definition"), print)
    assert told == deployment(status)
