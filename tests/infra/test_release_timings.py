"""Where the seconds of a rollout went, by AWS's own times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from slipway.release import rollout
from slipway.release.rollout import ExpectedService, ServiceDeployment
from slipway.release.rollout_timings import format_phases, measure_rollout_phases

SERVICE = ExpectedService("cluster", "shop-web", "web:7")
NONE: Any = None


def task(**seconds: float) -> dict[str, Any]:
    return {name: datetime.fromtimestamp(second, UTC) for name, second in seconds.items()}


def measure(monkeypatch: pytest.MonkeyPatch, tasks: list[dict[str, Any]], seconds: float | None) -> dict[str, float]:
    monkeypatch.setattr(rollout, "list_current_tasks", lambda *_: tasks)
    monkeypatch.setattr(rollout, "is_task_of_deployment", lambda task, _: "other" not in task)
    deployment = ServiceDeployment("arn", "SUCCESSFUL", "", "revision", "web:7", 0.0, seconds)
    return measure_rollout_phases(NONE, SERVICE, deployment)


SLOW = task(createdAt=0, pullStartedAt=12, pullStoppedAt=21, startedAt=24)
QUICK = task(createdAt=10, pullStartedAt=11, pullStoppedAt=12, startedAt=13)


def test_the_slowest_task_of_the_deployment_tells_the_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    older = task(createdAt=0, pullStartedAt=100, pullStoppedAt=200, startedAt=300) | {"other": True}
    waiting = task(createdAt=0)
    phases = measure(monkeypatch, [QUICK, SLOW, older, waiting], 71)
    assert phases == {
        "placed": 12,
        "pulled": 9,
        "started": 3,
        "healthy, and the old ones drained": 47,
        "complete": 71,
    }
    assert format_phases(phases).startswith("placed 12 s, pulled 9 s, started 3 s, healthy")


def test_no_phase_is_less_than_nothing_and_what_is_unknown_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measure(monkeypatch, [SLOW], 20)["healthy, and the old ones drained"] == 0
    assert measure(monkeypatch, [task(createdAt=0, startedAt=5)], None) == {}
    assert measure(monkeypatch, [], 20) == {"healthy, and the old ones drained": 20, "complete": 20}
