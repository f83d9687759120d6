"""Each small app as a whole: what init reads, and what it writes, which the kit has to take for every stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.init.apps import ROOT, copy_of, plan, read, refusals, written_app

EXPECTED: dict[str, str] = {
    "bare": """
        source: .
        module: service.api:application
        port: 8000
        health: {live: /ping, ready: /ping}
    """,
    "sync_orm": """
        source: .
        dockerfile: Dockerfile
        port: 8080
        health: {live: /healthz, ready: /healthz/db}
        processes:
          web:
            command: >-
              uvicorn notes.main:app --host 0.0.0.0 --port 8080
              --timeout-keep-alive 75 --timeout-graceful-shutdown 30
        needs: [database]
        variables: {DATABASE_URL: database.url, DB_POOL: database.pool, NOTES_KEY: generated}
    """,
    "src_layout": """
        source: .
        module: orders.main:app
        port: 8000
        health: {live: /internal/health/live, ready: /internal/health/ready}
        needs: [database, bucket.read]
        environment: {PYTHONPATH: "src:."}
        variables: {INVOICES_BUCKET: bucket.name, PG_DSN: database.url, PG_POOL_SIZE: database.pool}
    """,
    "poetry": """
        source: .
        module: accounts.main:app
        port: 8000
        health: {live: /api/v1/utils/health-check/, ready: /api/v1/utils/health-check/}
        release: alembic upgrade head
        previewSeed: python -m accounts.initial_data
        needs: [database]
        environment: {FIRST_SUPERUSER: admin@example.com}
        variables:
          POSTGRES_DB: database.name
          POSTGRES_PASSWORD: database.password
          POSTGRES_PORT: database.port
          POSTGRES_SERVER: database.host
          POSTGRES_USER: database.user
          SECRET_KEY: generated
        secrets: {FIRST_SUPERUSER_PASSWORD: required, SENTRY_DSN: optional, SMTP_PASSWORD: optional}
    """,
    "flat": """
        source: .
        module: main:app
        port: 8080
        health: {live: /health, ready: /health}
        needs: [cache]
        variables: {REDIS_URL: cache.url}
    """,
    "celery_jobs": """
        source: .
        module: shop.api:api
        port: 8000
        health: {live: /livez, ready: /livez}
        processes:
          web: {}
          worker: {command: 'celery -A shop.tasks:queue worker --concurrency 1'}
          beat: {command: 'celery -A shop.tasks:queue beat --schedule /tmp/celerybeat-schedule --pidfile='}
        needs: [database, cache]
        variables:
          CELERY_BROKER_URL: cache.url
          CELERY_RESULT_BACKEND: cache.url
          DATABASE_URL: database.url
          JWT_SECRET_KEY: generated
    """,
    "no_health": """
        source: .
        module: catalog.app:app
        port: 8000
        health: {live: /health, ready: /health}
    """,
    "prefixed": """
        source: .
        module: mailer.server:app
        port: 8000
        health: {live: /readyz, ready: /readyz}
        needs: [database]
        variables:
          MAILER_DATABASE_POOL_SIZE: database.pool
          MAILER_DATABASE_URL: database.url.asyncpg
          MAILER_SIGNING_KEY: generated
        secrets: [MAILER_API_KEY, MAILER_SENDER, MAILER_SMTP__HOST, MAILER_SMTP__PASSWORD]
    """,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_stacks_app_yaml_of_each_app(name: str, tmp_path: Path) -> None:
    assert written_app(copy_of(name, tmp_path)) == yaml.safe_load(EXPECTED[name])


@pytest.mark.parametrize("name", [*EXPECTED, "reference"])
def test_the_kit_takes_what_is_written_for_every_stack(name: str, tmp_path: Path) -> None:
    folder = copy_of(name, tmp_path)
    written_app(folder)
    assert refusals(folder) == {}


def test_the_reference_app_is_read_as_its_own_file_describes_it(tmp_path: Path) -> None:
    expected: dict[str, Any] = yaml.safe_load((ROOT / "stacks" / "app.yaml").read_text())
    found = written_app(copy_of("reference", tmp_path))
    same = ("source", "module", "port", "metricsPort", "health", "release", "releasePlan", "previewSeed", "secrets")
    assert {key: found[key] for key in same} == {key: expected[key] for key in same}
    # A title of its own is the app's default, and no source says that it should be the project's name.
    assert found["variables"] == {k: v for k, v in expected["variables"].items() if k != "PROJECT_NAME"}
    assert found["environment"] == {"DATABASE_MAX_OVERFLOW": 0}
    assert found["processes"]["web"]["command"] == expected["processes"]["web"]["command"]
    # That it reads the bucket in one process and writes it in the other is not seen: both may do both.
    assert found["needs"] == ["database", "cache", "queue.send", "bucket"]
    assert found["processes"]["worker"]["needs"] == ["database", "cache", "queue", "bucket"]
    assert found["processes"]["worker"]["command"].endswith("celery -A app.jobs.worker worker --concurrency 1")


@pytest.mark.parametrize(
    ("index", "module", "source", "secret"),
    [(0, "main:app", "services/billing", "STRIPE_API_KEY"), (1, "orders.main:app", "services/orders", "BILLING_URL")],
)
def test_an_app_of_a_monorepo_is_built_from_its_own_folder(
    index: int, module: str, source: str, secret: str, tmp_path: Path
) -> None:
    folder = copy_of("monorepo", tmp_path)
    assert read(folder, index).candidate.reference == module
    found = written_app(folder, app=module)
    assert (found["module"], found["source"], found["secrets"]) == (module, source, [secret])
    assert refusals(folder) == {}


@pytest.mark.parametrize(
    ("name", "python", "manager"),
    [
        ("bare", "3.11", "requirements"),
        ("src_layout", "3.13", "pyproject"),
        ("poetry", "3.11", "poetry"),
        ("prefixed", "3.11", "pyproject"),
        ("reference", "3.11", "uv"),
    ],
)
def test_python_and_package_manager(name: str, python: str, manager: str, tmp_path: Path) -> None:
    found = read(copy_of(name, tmp_path))
    assert (found.python, found.packages.manager, found.problems) == (python, manager, [])


def test_a_worker_takes_jobs_from_sqs_and_a_scheduler_only_sends_them(tmp_path: Path) -> None:
    folder = copy_of("celery_jobs", tmp_path)
    settings = folder / "shop" / "settings.py"
    settings.write_text(settings.read_text().replace("    report_email", "    jobs_queue_url: str\n    report_email"))
    requirements = folder / "requirements.txt"
    requirements.write_text(requirements.read_text().replace("celery[redis]", "celery[redis,sqs]"))
    found = written_app(folder)
    assert found["needs"] == ["database", "cache", "queue.send"]
    assert found["processes"]["worker"]["needs"] == ["database", "cache", "queue"]
    assert "needs" not in found["processes"]["beat"]
    assert refusals(folder) == {}


def test_another_python_than_the_kits_is_the_base_image_of_every_stack(tmp_path: Path) -> None:
    folder = copy_of("src_layout", tmp_path)
    written_app(folder)
    for stack in ("local", "dev", "staging", "prod"):
        text = (folder / "stacks" / f"Pulumi.{stack}.yaml").read_text()
        assert yaml.safe_load(text)["config"]["baseImage"] == "python:3.13-slim"


def test_words_of_the_app_for_its_stage_are_in_the_stack_files(tmp_path: Path) -> None:
    folder = copy_of("poetry", tmp_path)
    written_app(folder)
    stages = {
        stack: yaml.safe_load((folder / "stacks" / f"Pulumi.{stack}.yaml").read_text())["config"]["environment"]
        for stack in ("local", "dev", "staging", "prod")
    }
    assert {stack: variables["ENVIRONMENT"] for stack, variables in stages.items()} == {
        "local": "local",
        "dev": "staging",
        "staging": "staging",
        "prod": "production",
    }


def test_what_an_app_has_to_add(tmp_path: Path) -> None:
    folder = copy_of("no_health", tmp_path)
    [advice] = plan(folder).advice
    assert "No health path was found" in advice.title
    assert advice.place == "catalog/app.py, after line 12"
    assert advice.code.splitlines()[0] == '    @service.get("/health")'
    added = (folder / "catalog" / "app.py").read_text().splitlines(keepends=True)
    added.insert(12, f"\n{advice.code}\n")
    (folder / "catalog" / "app.py").write_text("".join(added))
    assert read(folder).health.live == "/health"
    assert plan(folder).advice == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("prefixed", []),
        ("celery_jobs", ["max_overflow=0", ""]),
        ("sync_orm", ["max_overflow=0"]),
        ("poetry", []),
        ("reference", []),
    ],
)
def test_code_to_change_in_the_app(name: str, words: list[str], tmp_path: Path) -> None:
    assert [item.code for item in plan(copy_of(name, tmp_path)).advice] == words
