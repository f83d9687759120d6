"""A health check is changed only where the running tasks pass the new one."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest

from slipway.config.errors import SlipwayError
from slipway.release.http_request import Answer
from slipway.release.target_group_change import HealthCheck, TargetGroupChange, check_health_check_change

BEFORE = HealthCheck("/healthz")


def change(after: HealthCheck, paths: tuple[str, ...] = ("/*",), before: HealthCheck = BEFORE) -> TargetGroupChange:
    return TargetGroupChange("web", "arn:tg", "http://lb.example/", "", paths, before, after)


def check(
    states: list[str], changed: TargetGroupChange, statuses: list[int], said: list[str] | None = None
) -> list[str]:
    """The URLs that were asked; the answers have `statuses` in turn. `said` gets what is reported."""
    aws: Any = MagicMock()
    health = [{"TargetHealth": {"State": state}} for state in states]
    aws.client.return_value.describe_target_health.return_value = {"TargetHealthDescriptions": health}
    urls: list[str] = []

    def request(url: str, **_: object) -> Answer:
        urls.append(url)
        status = statuses[(len(urls) - 1) % len(statuses)]
        return Answer(status, error="" if status else "connection refused")

    check_health_check_change(aws, changed, (said if said is not None else []).append, request=request)
    return urls


def test_running_tasks_that_serve_both_paths_let_it_change() -> None:
    assert check(["healthy", "healthy"], change(HealthCheck("/ready")), [200]) == ["http://lb.example/ready"] * 6


@pytest.mark.parametrize("statuses", [[404], [200, 404], [200, 200, 200, 200, 200, 503], [0]])
def test_one_task_that_does_not_is_enough_to_refuse(statuses: list[int]) -> None:
    with pytest.raises(SlipwayError, match="from /healthz to /ready") as refused:
        check(["healthy", "healthy"], change(HealthCheck("/ready")), statuses)
    assert refused.value.fix == (
        "Serve /healthz and /ready in one release, and change the health path in stacks/app.yaml in the next."
    )


def test_where_nothing_is_healthy_nothing_can_be_harmed() -> None:
    said: list[str] = []
    assert check(["unhealthy", "draining"], change(HealthCheck("/ready")), [404], said) == []
    assert said == ["Health check of web: no target is healthy, so the new path /ready affects none."]


def test_an_unchanged_health_check_asks_nobody() -> None:
    assert check(["healthy"], change(BEFORE), [404]) == []


def test_a_narrower_matcher_is_a_change_too() -> None:
    wide = HealthCheck("/ready", "200-399")
    with pytest.raises(SlipwayError, match="answer 302"):
        check(["healthy"], change(HealthCheck("/ready", "200"), before=wide), [302])
    assert check(["healthy"], change(wide, before=HealthCheck("/ready", "200")), [302])


def test_a_path_that_the_listener_rule_does_not_route_there_is_refused() -> None:
    with pytest.raises(SlipwayError, match=r"paths \(/api/\*\) do not include"):
        check(["healthy"], change(HealthCheck("/ready"), paths=("/api/*",)), [200])
    assert check(["healthy"], change(HealthCheck("/api/ready"), paths=("/api/*",)), [200])


@pytest.mark.parametrize(
    ("matcher", "good", "bad"),
    [("200", 200, 201), ("200,204", 204, 203), ("200-399", 399, 400), ("200-204,301", 301, 302)],
)
def test_a_matcher_is_codes_and_ranges(matcher: str, good: int, bad: int) -> None:
    assert HealthCheck("/", matcher).accepts(good)
    assert not HealthCheck("/", matcher).accepts(bad)
