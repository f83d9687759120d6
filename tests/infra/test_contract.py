"""The chain of time-outs, each longer than the one before; and what the app reads against what it is given."""

from __future__ import annotations

import json
import runpy
import subprocess
from functools import cache
from typing import Any

import pytest
import yaml

from infra import app_file, contract
from infra.settings import ROOT, Settings
from tests.infra.program import OF_THE_KIT, STACKS, containers, program
from tests.infra.recorder import of

APP = ROOT / "app"
PYTHON = APP / ".venv" / "bin" / "python"
reference_app = pytest.mark.skipif(not (ROOT / "tests" / "app").is_dir(), reason="the reference app was removed")


def test_a_stop_gives_requests_the_time_that_they_were_promised() -> None:
    for rollout in contract.ROLLOUTS.values():
        assert rollout.deregistration_delay < rollout.graceful_timeout
        assert rollout.graceful_timeout + 5 < rollout.stop_timeout <= 120


def test_the_app_never_closes_a_connection_that_the_load_balancer_still_uses() -> None:
    assert contract.KEEPALIVE_SECONDS > contract.IDLE_TIMEOUT_SECONDS


def test_a_busy_event_loop_is_not_taken_for_a_dead_one() -> None:
    """In a spike a probe waits in line with the requests, and a task that is replaced gives its load to the others."""
    silent = (contract.UNHEALTHY_THRESHOLD - 1) * contract.HEALTH_INTERVAL_SECONDS + contract.HEALTH_TIMEOUT_SECONDS
    assert contract.HEALTH_TIMEOUT_SECONDS < contract.HEALTH_INTERVAL_SECONDS, "a load balancer takes no other"
    assert silent >= 25
    check: Any = contract.health_check(8000, "/livez")
    hangs = check["retries"] * check["timeout"] + (check["retries"] - 1) * check["interval"]
    assert silent < hangs <= 2 * contract.START_GRACE_SECONDS


@pytest.mark.parametrize("stack", STACKS)
def test_every_container_has_the_time_to_stop_that_its_work_wants(stack: str) -> None:
    found, rollout = containers(stack, app_file.APP_FILE), contract.ROLLOUTS[Settings.from_files(stack).deploy_profile]
    variables = {pair["name"]: pair["value"] for pair in found["web"]["environment"]}
    assert rollout.deregistration_delay < int(variables["GRACEFUL_TIMEOUT"])
    assert int(variables["GRACEFUL_TIMEOUT"]) + 5 < found["web"]["stopTimeout"] <= contract.LONGEST_STOP_SECONDS
    if "worker" in found:
        assert found["worker"]["stopTimeout"] == contract.LONGEST_STOP_SECONDS


def test_workers_follow_from_the_tasks_cpu_alone() -> None:
    assert [contract.web_concurrency(cpu) for cpu in (256, 1024, 4096)] == [1, 1, 4]


def test_the_kits_server_keeps_to_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SLIPWAY_MODULE": "app.main:app", "PORT": "9000", "WEB_CONCURRENCY": "2"}.items():
        monkeypatch.setenv(name, value)
    conf = runpy.run_path(str(ROOT / "docker" / "app" / "gunicorn.conf.py"))
    assert (conf["keepalive"], conf["graceful_timeout"]) == (
        contract.KEEPALIVE_SECONDS,
        contract.ROLLOUTS["fast"].graceful_timeout,
    )
    assert (conf["bind"], conf["workers"], conf["wsgi_app"]) == ("0.0.0.0:9000", 2, "app.main:app")


@pytest.mark.parametrize("folder", ["app", "cache", "database"])
def test_the_kits_images_run_as_the_user_that_the_task_definition_names(folder: str) -> None:
    assert f"USER {contract.APP_USER}" in (ROOT / "docker" / folder / "Dockerfile").read_text()


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
OF_THE_SERVER = {"FORWARDED_ALLOW_IPS", "GRACEFUL_TIMEOUT", "PORT", "PGSSLMODE", "PGSSLROOTCERT"}


@reference_app
@pytest.mark.parametrize("stack", STACKS)
def test_every_variable_that_the_reference_app_is_given_is_one_that_it_reads(stack: str) -> None:
    reads = asked(READS)
    for name, container in containers(stack, app_file.APP_FILE).items():
        if name not in OF_THE_KIT:
            given = {pair["name"] for pair in [*container["environment"], *container["secrets"]]}
            assert given - OF_THE_SERVER <= set(reads), name


@reference_app
def test_the_reference_apps_own_server_keeps_to_the_chain() -> None:
    conf = "__import__('runpy').run_path('app/gunicorn.conf.py')"
    assert asked(f"(lambda found: [found['keepalive'], found['graceful_timeout']])({conf})") == [
        contract.KEEPALIVE_SECONDS,
        contract.ROLLOUTS["fast"].graceful_timeout,
    ]


@reference_app
def test_a_jobs_time_outs_are_in_order() -> None:
    """Its own ends it, then its process is killed, then SQS gives its message to another, then it is taken for lost."""
    limit, kill, lost = asked(
        "(lambda limit: [limit, __import__('app.jobs.worker', fromlist=['x']).KILL_SECONDS, "
        "__import__('app.jobs.job', fromlist=['x']).Run(database=None, files=None, seconds=limit)"
        ".lost_after.total_seconds()])"
        "(__import__('app.core.settings', fromlist=['x']).Settings.model_fields['job_time_limit'].default)"
    )
    assert (limit, kill) == (contract.JOB_SECONDS, contract.JOB_KILL_SECONDS)
    assert limit + kill < contract.visibility_seconds(limit) < lost


def test_app_and_queue_are_told_the_same_time_of_a_job() -> None:
    queues = [made.inputs for made in of(program("dev"), "aws:sqs/queue:Queue") if made.name.endswith("-jobs")]
    assert [each["visibilityTimeoutSeconds"] for each in queues] == [1500]
    for process in ("web", "worker"):
        assert {"name": "JOB_TIME_LIMIT", "value": "1000"} in containers("dev")[process]["environment"]


@reference_app
def test_the_bucket_keeps_exports_as_long_as_their_rows() -> None:
    default = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]["bucketExpireDays"]["default"]
    assert asked("__import__('app.jobs.cleanup', fromlist=['x']).EXPORTS_KEPT.days") == default
