"""The chain of time-outs: each longer than the one before, so that no request meets a closed socket."""

from __future__ import annotations

from infra import contract


def test_a_stop_gives_requests_the_time_that_they_were_promised() -> None:
    assert contract.DEREGISTRATION_DELAY_SECONDS < contract.GRACEFUL_TIMEOUT_SECONDS
    assert contract.GRACEFUL_TIMEOUT_SECONDS + 5 < contract.STOP_TIMEOUT_SECONDS


def test_the_app_never_closes_a_connection_that_the_load_balancer_still_uses() -> None:
    assert contract.KEEPALIVE_SECONDS > contract.IDLE_TIMEOUT_SECONDS


def test_workers_follow_from_the_tasks_cpu_alone() -> None:
    assert [contract.web_concurrency(cpu) for cpu in (256, 1024, 4096)] == [1, 1, 4]
