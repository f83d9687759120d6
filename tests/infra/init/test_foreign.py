"""`slipway init --from compose` and `--from copilot`: what these files say of the same app."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.cli.init.copilot import schedule_of
from slipway.config.errors import SlipwayError
from tests.infra.init.apps import plan, refusals, repository, written_app

FILES = {
    "main_py": "from fastapi import FastAPI\napp = FastAPI()\n",
    "jobs_py": "from celery import Celery\napp = Celery('jobs')\n",
    "requirements.txt": "fastapi\nuvicorn\ncelery[redis]\npsycopg[binary]\n",
    "Dockerfile": "FROM python:3.12-slim\nCOPY . .\nCMD uvicorn main:app --host 0.0.0.0 --port 8000\n",
}
COMPOSE = """
    services:
      api:
        build: .
        command: uvicorn main:app --host 0.0.0.0 --port 9000 --reload
        ports: ["80:9000"]
        environment:
          DATABASE_URL: postgresql://app:app@db/app
          CELERY_BROKER_URL: redis://redis:6379/0
          STRIPE_API_KEY: ${STRIPE_API_KEY}
          TITLE: Shop
          PARTNER: ${PARTNER}
          SEARCH: https://user:not-for-a-file@search/
        healthcheck: {test: ["CMD", "curl", "-f", "http://localhost:9000/up"]}
      mail_worker:
        build: .
        command: celery -A jobs worker -Q mail
        environment: [CELERY_BROKER_URL=redis://redis:6379/0]
      prestart: {build: ., command: alembic upgrade head}
      flower: {build: ., command: celery -A jobs flower}
      front: {build: {context: .}, command: ""}
      db: {image: "postgres:16"}
      redis: {image: "docker.io/library/redis:7"}
      proxy: {image: "traefik:3"}
      search: {image: "elasticsearch:8"}
"""
WEB = """
    name: api
    type: Load Balanced Web Service
    http: {path: api, healthcheck: {path: /up}}
    image: {build: {dockerfile: Dockerfile, context: .}, port: 9000}
    cpu: 512
    memory: 1024
    count: {range: 2-6}
    variables: {TITLE: Shop}
    secrets: {STRIPE_API_KEY: /shop/stripe}
"""


def compose(folder: Path, text: str = COMPOSE, **files: str) -> dict[str, Any]:
    """stacks/app.yaml of the small app with this docker-compose.yml."""
    repository(folder, **(FILES | {"docker-compose.yml": text} | files))
    return written_app(folder, foreign="compose")


def test_services_are_processes_and_images_are_stores(tmp_path: Path) -> None:
    assert compose(tmp_path) == {
        "source": ".",
        "dockerfile": "Dockerfile",
        "port": 9000,
        "health": {"live": "/up", "ready": "/up"},
        "processes": {
            "web": {
                "command": "uvicorn main:app --host 0.0.0.0 --port 9000 --timeout-keep-alive 75 "
                "--timeout-graceful-shutdown 30"
            },
            "worker": {"command": "celery -A jobs worker --concurrency 1"},
            "mail-worker": {"command": "celery -A jobs worker -Q mail"},
        },
        "release": "alembic upgrade head",
        "needs": ["database", "cache"],
        "environment": {"TITLE": "Shop"},
        "variables": {"CELERY_BROKER_URL": "cache.url", "DATABASE_URL": "database.url"},
        "secrets": ["STRIPE_API_KEY", "SEARCH"],
    }
    assert refusals(tmp_path) == {}


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    repository(tmp_path, **(FILES | {"docker-compose.yml": COMPOSE}))
    notes = [item.title for item in plan(tmp_path, foreign="compose").advice if item.place == "docker-compose.yml"]
    assert [note.partition(":")[0] for note in notes] == [
        "flower was left out",
        "front was left out",
        "search (elasticsearch",
        "PARTNER has no value in docker-compose.yml",
    ]


def test_a_build_context_in_a_folder(tmp_path: Path) -> None:
    files = {f"backend__{name}": text for name, text in FILES.items()}
    text = "services: {api: {build: ./backend, ports: [{target: 8123, published: 80}]}}"
    repository(tmp_path, **(files | {"compose.yaml": text}))
    found = written_app(tmp_path, foreign="compose")
    assert (found["source"], found["dockerfile"], found["port"]) == ("backend", "backend/Dockerfile", 8123)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("services: [", "cannot be read"),
        ("- a list", "is not a mapping of keys to values"),
        ("services: {a: {build: ., command: sleep 1}}", "starts a server"),
        ("services: {a: {image: x}}", "starts a server"),
        ("services:", "starts a server"),
        ("services: {a: !reset {}}", "cannot be read"),
    ],
)
def test_a_file_of_no_use_is_an_error(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match=words):
        compose(tmp_path, text)


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ("compose", "There is none of compose.yaml"),
        ("copilot", "no copilot/"),
        ("heroku", "--from heroku: allowed are compose and copilot"),
    ],
)
def test_a_tool_that_is_not_there(tool: str, words: str, tmp_path: Path) -> None:
    repository(tmp_path, **FILES)
    with pytest.raises(SlipwayError, match=words):
        plan(tmp_path, foreign=tool)


def test_copilots_manifests(tmp_path: Path) -> None:
    worker = """
        type: Worker Service
        image: {build: Dockerfile}
        command: celery -A jobs worker
        secrets: {SENTRY_DSN: /shop/sentry}
    """
    job = """
        type: Scheduled Job
        image: {build: Dockerfile}
        entrypoint: [python, -m]
        command: [jobs.clean]
        on: {schedule: "30 3 * * *"}
    """
    other = "type: Backend Service\nimage: {build: other/Dockerfile}\ncommand: x\n"
    manifests = {
        "copilot__api__manifest.yml": WEB,
        "copilot__worker__manifest.yml": worker,
        "copilot__clean__manifest.yml": job,
        "copilot__other__manifest.yml": other,
        "copilot__site__manifest.yml": "type: Static Site",
        "copilot__store__manifest.yml": "type: Load Balanced Web Service\nimage: {build: admin/Dockerfile}\n",
        "copilot__api__addons__db.yml": "",
        "copilot__environments__test__manifest.yml": "type: Environment",
    }
    repository(tmp_path, **(FILES | manifests))
    found = written_app(tmp_path, foreign="copilot")
    assert (found["port"], found["health"]) == (9000, {"live": "/up", "ready": "/up"})
    web = found["processes"]["web"]
    assert {key: web[key] for key in ("cpu", "memory", "tasks", "maxTasks", "paths")} == {
        "cpu": 512,
        "memory": 1024,
        "tasks": 2,
        "maxTasks": 6,
        "paths": ["/api", "/api/*"],
    }
    assert found["processes"]["clean"] == {"command": "python -m jobs.clean", "schedule": "cron(30 3 * * ? *)"}
    assert found["processes"]["worker"]["command"] == "celery -A jobs worker"
    assert (found["environment"], found["secrets"]) == ({"TITLE": "Shop"}, ["STRIPE_API_KEY", "SENTRY_DSN"])
    assert "queue" in found["needs"]
    assert refusals(tmp_path) == {}
    titles = [item.title for item in plan(tmp_path, foreign="copilot").advice]
    for beginning in (
        "other was left out: it has an image of its own, so give its process a `dockerfile`",
        "site was left out: a static site is served by the app",
        "store was left out: give it a process with `paths`",
        "copilot/api/addons was left out",
    ):
        assert any(title.startswith(beginning) for title in titles), beginning


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("@daily", "rate(1 day)"),
        ("@every 1h", "rate(1 hour)"),
        ("@every 15m", "rate(15 minutes)"),
        ("0 3 * * *", "cron(0 3 * * ? *)"),
        ("0 3 1 * *", "cron(0 3 1 * ? *)"),
        ("0 3 * * 0", "cron(0 3 ? * 1 *)"),
        ("0 3 * * 6", "cron(0 3 ? * 7 *)"),
        ("0 3 1 * 1", ""),
        ("cron(0 3 * * ? *)", "cron(0 3 * * ? *)"),
        ("sometimes", ""),
    ],
)
def test_schedules(text: str, schedule: str) -> None:
    assert schedule_of(text) == schedule


def test_a_compose_file_is_read_and_no_value_of_it_is_taken_for_a_secret(tmp_path: Path) -> None:
    text = COMPOSE.replace("${STRIPE_API_KEY}", "sk_live_not_to_be_copied")
    compose(tmp_path, text)
    written = [path.read_text() for path in tmp_path.rglob("stacks/*")]
    assert not any("sk_live_not_to_be_copied" in file for file in written)
    assert yaml.safe_load(written[0])
