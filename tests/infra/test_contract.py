"""The chain of time-outs: each longer than the one before, so that no request meets a closed socket."""

from __future__ import annotations

import pytest

from infra import contract
from tests.infra.recorder import record


def test_a_stop_gives_requests_the_time_that_they_were_promised() -> None:
    assert contract.DEREGISTRATION_DELAY_SECONDS < contract.GRACEFUL_TIMEOUT_SECONDS
    assert contract.GRACEFUL_TIMEOUT_SECONDS + 5 < contract.STOP_TIMEOUT_SECONDS


def test_the_app_never_closes_a_connection_that_the_load_balancer_still_uses() -> None:
    assert contract.KEEPALIVE_SECONDS > contract.IDLE_TIMEOUT_SECONDS


def test_workers_follow_from_the_tasks_cpu_alone() -> None:
    assert [contract.web_concurrency(cpu) for cpu in (256, 1024, 4096)] == [1, 1, 4]


def test_both_sides_have_the_same_time_outs(monkeypatch: pytest.MonkeyPatch) -> None:
    import runpy
    from pathlib import Path

    monkeypatch.setenv("WEB_CONCURRENCY", "1")  # the file sets it where it is not set, for the workers

    from app.core.settings import Settings
    from app.jobs import worker as jobs
    from app.jobs.job import Run
    from infra.components import queue

    conf = runpy.run_path(str(Path(__file__).resolve().parents[2] / "app" / "gunicorn.conf.py"))
    assert conf["keepalive"] == contract.KEEPALIVE_SECONDS
    assert conf["graceful_timeout"] == contract.GRACEFUL_TIMEOUT_SECONDS
    assert conf["bind"].endswith(f":{contract.WEB_PORT}")
    # A job's own time-out ends it, then its process is killed, then SQS gives its message to another worker, then the
    # app takes it for lost.
    limit = Settings.model_fields["job_time_limit"].default
    lost = Run(database=None, files=None, seconds=limit).lost_after.total_seconds()  # type: ignore[arg-type]
    assert limit + jobs.KILL_SECONDS < queue.VISIBILITY_SECONDS < lost


def given() -> set[str]:
    """Every variable that some container of the app gets. In `record`, for outputs belong to a running program."""
    names: set[str] = set(contract.APP_SECRETS)

    def build() -> None:
        endpoints = contract.Endpoints("db", 5433, "cache", 6379, "https://sqs/q", "bucket", "eu-central-1")
        names.update(
            contract.app_environment(
                "prod",
                endpoints,
                cpu=1024,
                pool_size=5,
                trusted_proxies=["10.20.0.0/20"],
                database_ca="ca",
                cache_ca="ca",
                cors_origins=["https://app.example.com"],
            )
        )

    record(build)
    return names


# gunicorn and uvicorn read these, not the app's settings.
OF_THE_SERVER = {"FORWARDED_ALLOW_IPS"}
# What the app can be told and AWS has no need to: a URL instead of parts, a laptop's choices, sensible defaults.
LEFT_TO_DEFAULTS = {
    "PROJECT_NAME", "DATA_DIR", "RELEASE", "LOG_LEVEL",
    "DATABASE_URL", "DATABASE_POOL_TIMEOUT", "DATABASE_CONNECT_TIMEOUT",
    "DATABASE_STATEMENT_TIMEOUT", "DATABASE_LOCK_TIMEOUT", "REDIS_URL", "REDIS_KEY_PREFIX", "REDIS_TIMEOUT",
    "ACCESS_TOKEN_LIFETIME", "REFRESH_TOKEN_LIFETIME", "MAX_BODY_BYTES", "RATE_LIMIT_PER_MINUTE",
    "LOGIN_RATE_LIMIT_PER_MINUTE", "CACHE_TTL", "JOB_TIME_LIMIT", "EXPORTS_PER_HOUR", "SENTRY_DSN",
    "MIGRATION_LOCK_TIMEOUT",
}  # fmt: skip


def test_every_variable_that_infrastructure_sets_is_one_that_the_app_reads() -> None:
    from app.core.settings import Settings

    assert given() - OF_THE_SERVER <= {name.upper() for name in Settings.model_fields}


def test_every_variable_that_the_app_reads_is_set_or_left_out_on_purpose() -> None:
    from app.core.settings import Settings

    assert {name.upper() for name in Settings.model_fields} - given() == LEFT_TO_DEFAULTS


def test_the_generated_secrets_are_the_ones_that_the_app_gets() -> None:
    from infra.components.secrets import GENERATED

    assert set(GENERATED) == set(contract.APP_SECRETS)
