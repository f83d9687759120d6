"""The chain of time-outs, each longer than the one before; and what the app reads against what it is given."""

from __future__ import annotations

import json
import runpy
import subprocess
from functools import cache
from typing import Any

import pytest

from slipway.config import constants
from slipway.config.app_spec.app import AppSpec
from slipway.config.settings import Settings
from slipway.program.container_env import container_check
from tests.infra.program import OF_THE_KIT, STACKS, containers, program, reference_app_file
from tests.infra.recorder import of
from tests.paths import ROOT

APP = ROOT / "app"
PYTHON = APP / ".venv" / "bin" / "python"
reference_app = pytest.mark.skipif(not (ROOT / "tests" / "app").is_dir(), reason="the reference app was removed")


def test_a_stop_gives_requests_the_time_that_they_were_promised() -> None:
    for rollout in constants.DEPLOY_PROFILES.values():
        assert rollout.deregistration_delay < rollout.graceful_timeout
        assert rollout.graceful_timeout + 5 < rollout.stop_timeout <= 120


def test_the_app_never_closes_a_connection_that_the_load_balancer_still_uses() -> None:
    assert constants.KEEPALIVE_SECONDS > constants.IDLE_TIMEOUT_SECONDS


@pytest.mark.parametrize("seconds", [60, 61, 90, 100, 101, 900, 4000])
@pytest.mark.parametrize("profile", constants.DEPLOY_PROFILES)
def test_the_time_outs_follow_a_longer_request(seconds: int, profile: str) -> None:
    before = constants.DEPLOY_PROFILES[profile]
    rollout = before.for_request_timeout(seconds)
    assert rollout.deregistration_delay < rollout.graceful_timeout
    assert rollout.graceful_timeout + 5 < rollout.stop_timeout <= constants.MAX_STOP_TIMEOUT_SECONDS
    assert constants.keepalive_seconds(seconds) > seconds
    if seconds > 60 and profile != "quick":
        assert rollout.deregistration_delay >= min(seconds, 100)
    else:
        assert rollout == before


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"interval": 300, "timeout": 2, "failures": 2},
        {"interval": 31, "timeout": 30, "failures": 10},
        {"interval": 5, "timeout": 4},
    ],
)
def test_the_load_balancer_takes_a_task_out_before_its_container_is_stopped(keys: dict[str, int]) -> None:
    app = AppSpec.model_validate({"module": "a:b", "health": keys})
    health, check = app.health, container_check(app, "web")
    assert check is not None
    silent = (health.failures - 1) * health.interval + health.timeout
    retries, timeout, interval = (int(str(check[key])) for key in ("retries", "timeout", "interval"))
    assert silent < retries * timeout + (retries - 1) * interval
    assert (2 <= timeout <= 60, 5 <= interval <= 300, 1 <= retries <= 10) == (True, True, True), "ECS takes no other"


def test_a_busy_event_loop_is_not_taken_for_a_dead_one() -> None:
    """In a spike a probe waits in line with the requests, and a task that is replaced gives its load to the others."""
    silent = (constants.UNHEALTHY_THRESHOLD - 1) * constants.HEALTH_INTERVAL_SECONDS + constants.HEALTH_TIMEOUT_SECONDS
    assert constants.HEALTH_TIMEOUT_SECONDS < constants.HEALTH_INTERVAL_SECONDS, "a load balancer takes no other"
    assert silent >= 25
    check: Any = constants.container_health_check(8000, "/livez")
    hangs = check["retries"] * check["timeout"] + (check["retries"] - 1) * check["interval"]
    assert silent < hangs <= 2 * constants.HEALTH_CHECK_GRACE_SECONDS


@pytest.mark.parametrize("stack", STACKS)
def test_every_container_has_the_time_to_stop_that_its_work_wants(stack: str) -> None:
    found, rollout = (
        containers(stack, reference_app_file()),
        constants.DEPLOY_PROFILES[Settings.from_files(stack).deploy_profile],
    )
    variables = {pair["name"]: pair["value"] for pair in found["web"]["environment"]}
    assert rollout.deregistration_delay < int(variables["GRACEFUL_TIMEOUT"])
    assert int(variables["GRACEFUL_TIMEOUT"]) + 5 < found["web"]["stopTimeout"] <= constants.MAX_STOP_TIMEOUT_SECONDS
    if "worker" in found:
        assert found["worker"]["stopTimeout"] == constants.MAX_STOP_TIMEOUT_SECONDS


def test_workers_follow_from_the_tasks_cpu_alone() -> None:
    assert [constants.web_concurrency(cpu) for cpu in (256, 1024, 4096)] == [1, 1, 4]


def test_the_kits_server_keeps_to_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SLIPWAY_MODULE": "app.main:app", "PORT": "9000", "WEB_CONCURRENCY": "2"}.items():
        monkeypatch.setenv(name, value)
    conf = runpy.run_path(str(ROOT / "docker" / "app" / "gunicorn.conf.py"))
    assert (conf["keepalive"], conf["graceful_timeout"]) == (
        constants.KEEPALIVE_SECONDS,
        constants.DEPLOY_PROFILES["fast"].graceful_timeout,
    )
    assert (conf["bind"], conf["workers"], conf["wsgi_app"]) == ("0.0.0.0:9000", 2, "app.main:app")


@pytest.mark.parametrize("folder", ["app", "cache", "database"])
def test_the_kits_images_run_as_the_user_that_the_task_definition_names(folder: str) -> None:
    assert f"USER {constants.APP_USER}" in (ROOT / "docker" / folder / "Dockerfile").read_text()


@cache
def asked(expression: str) -> Any:
    """What the reference app says of itself, in its own environment: it and the kit never import each other."""
    told = subprocess.run(
        [PYTHON, "-c", f"import json, sys; sys.stdout.write(json.dumps({expression}))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(told.stdout)


READS = "[name.upper() for name in __import__('app.core.settings', fromlist=['x']).Settings.model_fields]"
# gunicorn, uvicorn and libpq read these, not the app's settings.
OF_THE_SERVER = {
    "AWS_DEFAULT_REGION",
    "FORWARDED_ALLOW_IPS",
    "GRACEFUL_TIMEOUT",
    "KEEPALIVE",
    "REQUEST_TIMEOUT",
    "PORT",
    "PGSSLMODE",
    "PGSSLROOTCERT",
}


@reference_app
@pytest.mark.parametrize("stack", STACKS)
def test_every_variable_that_the_reference_app_is_given_is_one_that_it_reads(stack: str) -> None:
    reads = asked(READS)
    for name, container in containers(stack, reference_app_file()).items():
        if name not in OF_THE_KIT:
            given = {pair["name"] for pair in [*container["environment"], *container["secrets"]]}
            assert given - OF_THE_SERVER <= set(reads), name


@reference_app
def test_the_reference_apps_own_server_keeps_to_the_chain() -> None:
    conf = "__import__('runpy').run_path('app/gunicorn.conf.py')"
    assert asked(f"(lambda found: [found['keepalive'], found['graceful_timeout']])({conf})") == [
        constants.KEEPALIVE_SECONDS,
        constants.DEPLOY_PROFILES["fast"].graceful_timeout,
    ]


@reference_app
def test_a_jobs_time_outs_are_in_order() -> None:
    """Its own ends it, then its process is killed, then SQS gives its message to another, then it is taken for lost."""
    limit, kill, lost = asked(
        "(lambda limit: [limit, __import__('app.jobs.worker', fromlist=['x']).KILL_SECONDS, "
        "__import__('app.jobs.job', fromlist=['x']).JobContext(database=None, files=None, seconds=limit)"
        ".lost_after.total_seconds()])"
        "(__import__('app.core.settings', fromlist=['x']).Settings.model_fields['job_time_limit'].default)"
    )
    assert (limit, kill) == (constants.DEFAULT_JOB_TIMEOUT_SECONDS, constants.JOB_KILL_GRACE_SECONDS)
    assert limit + kill < constants.visibility_timeout_seconds(limit) < lost


def test_app_and_queue_are_told_the_same_time_of_a_job() -> None:
    queues = [made.inputs for made in of(program("dev"), "aws:sqs/queue:Queue") if made.name.endswith("-jobs")]
    assert [each["visibilityTimeoutSeconds"] for each in queues] == [1500]
    for process in ("web", "worker"):
        assert {"name": "JOB_TIME_LIMIT", "value": "1000"} in containers("dev")[process]["environment"]


@reference_app
def test_the_bucket_keeps_exports_as_long_as_their_rows() -> None:
    default = Settings.model_fields["bucket_expire_days"].default
    assert asked("__import__('app.jobs.cleanup', fromlist=['x']).EXPORTS_KEPT.days") == default
