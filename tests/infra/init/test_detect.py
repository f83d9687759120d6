"""What is found in sources: apps, health paths, ports, workers, releases, Python versions, Dockerfiles."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from slipway.cli.init.detect import survey
from tests.infra.init.apps import read, repository

FACTORY = "from fastapi import FastAPI\ndef make() -> FastAPI:\n    return FastAPI()\n"
APP = "from fastapi import FastAPI\napp = FastAPI()\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"main_py": APP}, ["main:app"]),
        ({"main_py": "import fastapi\napi = fastapi.FastAPI()"}, ["main:api"]),
        ({"main_py": "from fastapi import FastAPI as F\napp: F = F()"}, ["main:app"]),
        ({"main_py": "from fastapi import FastAPI\ndef make(): \n  return FastAPI()\napp = make()"}, ["main:app"]),
        (
            {
                "app__factory_py": "from fastapi import FastAPI\ndef make() -> FastAPI: ...",
                "app__INIT": "",
                "app__main_py": "from .factory import make\napp = make()",
            },
            ["app.main:app"],
        ),
        ({"main_py": "from fastapi import FastAPI\nclass API(FastAPI): ...\napp = API()"}, ["main:app"]),
        ({"main_py": APP + "v1 = FastAPI()\napp.mount('/v1', v1)"}, ["main:app"]),
        ({"main_py": APP + "from mw import TraceMiddleware\nasgi = TraceMiddleware(app)"}, ["main:asgi"]),
        ({"main_py": APP + "from mangum import Mangum\nhandler = Mangum(app)"}, ["main:app"]),
        ({"main_py": "from fastapi import FastAPI\ntry:\n  app = FastAPI()\nexcept Exception:\n  raise"}, ["main:app"]),
        (
            {"main_py": "from fastapi import FastAPI\ndef create_app():\n  a = FastAPI()\n  return a"},
            ["main:create_app"],
        ),
        ({"src__shop__INIT": "", "src__shop__api_py": APP}, ["shop.api:app"]),
        ({"backend__app__main_py": APP, "backend__app__INIT": ""}, ["app.main:app"]),
        (
            {
                "backend__app__main_py": APP,
                "backend__app__a_py": "import app.main",
                "backend__requirements.txt": "fastapi",
            },
            ["app.main:app"],
        ),
        ({"tests__test_main_py": APP, "docs__tutorial_py": APP, "node_modules__a_py": APP}, []),
        ({"main_py": "from flask import Flask\napp = Flask(__name__)"}, []),
        (
            {"app__main_py": "from app.core.setup import make\napp = make()", "app__core__setup_py": FACTORY},
            ["app.main:app"],
        ),
        ({"z_py": APP, "main_py": APP}, ["main:app", "z:app"]),
    ],
)
def test_the_apps_of_a_repository(files: dict[str, str], expected: list[str], tmp_path: Path) -> None:
    _, candidates = survey(repository(tmp_path, **files))
    assert [candidate.reference for candidate in candidates] == expected


@pytest.mark.parametrize(
    ("routes", "live", "ready"),
    [
        ("@app.get('/health')\ndef h(): ...", "/health", "/health"),
        ("@app.get('/livez')\ndef a(): ...\n@app.get('/readyz')\ndef b(): ...", "/livez", "/readyz"),
        (
            "@app.get('/health/live')\ndef a(): ...\n@app.get('/health/ready')\ndef b(): ...",
            "/health/live",
            "/health/ready",
        ),
        ("@app.get('/healthz')\ndef a(): ...\n@app.get('/healthz/db')\ndef b(): ...", "/healthz", "/healthz/db"),
        ("@app.post('/health')\ndef a(): ...", "", ""),
        ("@app.api_route('/ping', methods=['GET', 'HEAD'])\ndef a(): ...", "/ping", "/ping"),
        ("@app.api_route('/ping', methods=['POST'])\ndef a(): ...", "", ""),
        ("app.add_api_route('/up', lambda: 1)", "/up", "/up"),
        ("@app.get('/users/{id}/health')\ndef a(): ...", "", ""),
        ("@app.get('/')\ndef a(): ...", "", ""),
        ("PATH = '/status'\n@app.get(PATH)\ndef a(): ...", "/status", "/status"),
        (
            "from fastapi import APIRouter\nr = APIRouter(prefix='/sys')\n@r.get('/health')\ndef a(): ...\n"
            "app.include_router(r, prefix='/api')",
            "/api/sys/health",
            "/api/sys/health",
        ),
        (
            "from fastapi import APIRouter\nclass S:\n  P: str = '/v1'\ns = S()\nr = APIRouter()\n"
            "@r.get('/health')\ndef a(): ...\napp.include_router(r, prefix=f'{s.P}/x')",
            "/v1/x/health",
            "/v1/x/health",
        ),
        ("from fastapi import APIRouter\nr = APIRouter()\napp.include_router(r)\nr.include_router(r)", "", ""),
    ],
)
def test_health_paths(routes: str, live: str, ready: str, tmp_path: Path) -> None:
    health = read(repository(tmp_path, main_py=APP + routes)).health
    assert (health.live, health.ready) == (live, ready)


def test_a_router_is_followed_through_packages(tmp_path: Path) -> None:
    folder = repository(
        tmp_path,
        app__INIT="",
        app__main_py=APP + "from app.api import router\napp.include_router(router, prefix='/api')",
        app__api__INIT="from app.api.base import router",
        app__api__base_py="from fastapi import APIRouter\nfrom . import health\nrouter = APIRouter()\n"
        "router.include_router(health.router, prefix='/sys')",
        app__api__health_py="from fastapi import APIRouter\nrouter = APIRouter()\n@router.get('/ready')\ndef a(): ...",
    )
    assert read(folder).health.ready == "/api/sys/ready"


@pytest.mark.parametrize(
    ("dockerfile", "port", "command"),
    [
        (
            "FROM python:3.12\nEXPOSE 9000\n"
            'CMD ["uvicorn", "main:app", "--port", "9000", "--reload", "--workers", "4"]',
            9000,
            "uvicorn main:app --host 0.0.0.0 --port 9000 --timeout-keep-alive 75 --timeout-graceful-shutdown 30",
        ),
        (
            "FROM python:3.12\nENV PORT=8123\nCMD uvicorn main:app --host 0.0.0.0 --port $PORT",
            8123,
            "uvicorn main:app --host 0.0.0.0 --port 8123 --timeout-keep-alive 75 --timeout-graceful-shutdown 30",
        ),
        (
            'FROM python:3.12\nCMD ["sh", "-c", "exec uvicorn main:app --port ${PORT:-8080}"]',
            8080,
            "uvicorn main:app --host 0.0.0.0 --port 8080 --timeout-keep-alive 75 --timeout-graceful-shutdown 30",
        ),
        (
            'FROM python:3.12\nCMD ["fastapi", "run", "main.py", "--port", "80"]',
            8000,
            "uvicorn main:app --host 0.0.0.0 --port 8000 --timeout-keep-alive 75 --timeout-graceful-shutdown 30",
        ),
        (
            'FROM python:3.12\nCMD ["gunicorn", "main:app", "-k", "uvicorn.Worker", \\\n "-b", "0.0.0.0:8001"]',
            8001,
            "gunicorn main:app -k uvicorn.Worker --bind 0.0.0.0:8001 --keep-alive 75 --graceful-timeout 30",
        ),
        (
            'FROM python:3.12\nENTRYPOINT ["uv", "run"]\nEXPOSE 8002/tcp\nCMD ["gunicorn", "-c", "c.py", "main:app"]',
            8002,
            "gunicorn -c c.py main:app",
        ),
        ('FROM python:3.12\nEXPOSE 8003\nCMD ["./start.sh"]', 8003, ""),
        ("FROM python:3.12\nCMD uvicorn main:app; echo over", 8000, ""),
        (
            "FROM python:3.12\nCMD alembic upgrade head && poetry run uvicorn --host=0.0.0.0 main:app --port=8004",
            8004,
            "uvicorn main:app --host 0.0.0.0 --port 8004 --timeout-keep-alive 75 --timeout-graceful-shutdown 30",
        ),
        (
            'FROM node AS web\nCMD ["npm", "start"]\nFROM python:3.12\n# CMD ["other"]\nCMD ["uvicorn", "main:app"]',
            8000,
            "uvicorn main:app --host 0.0.0.0 --port 8000 --timeout-keep-alive 75 --timeout-graceful-shutdown 30",
        ),
    ],
)
def test_dockerfiles(dockerfile: str, port: int, command: str, tmp_path: Path) -> None:
    found = read(repository(tmp_path, main_py=APP, Dockerfile=dockerfile))
    assert (found.module, found.port, found.web_command) == ("", port, command)


@pytest.mark.parametrize(
    ("path", "copied", "context"),
    [
        ("Dockerfile", "COPY . .", "."),
        ("backend__Dockerfile", "COPY requirements.txt app ./", "backend"),
        ("backend__Dockerfile", "COPY backend/requirements.txt backend/app ./", "."),
        ("docker__Dockerfile", "COPY backend/app ./app", "."),
    ],
)
def test_the_build_context_is_where_copy_finds_its_files(path: str, copied: str, context: str, tmp_path: Path) -> None:
    files = {
        "backend__app__main_py": APP,
        "backend__requirements.txt": "fastapi",
        path: f"FROM x\n{copied}\nCMD uvicorn app.main:app",
    }
    found = read(repository(tmp_path, **files))
    assert found.dockerfile is not None
    assert (str(found.dockerfile.path), str(found.source)) == (path.replace("__", "/"), context)


def test_a_dockerfile_of_something_else_is_not_the_apps(tmp_path: Path) -> None:
    folder = repository(tmp_path, main_py=APP, Dockerfile='FROM postgres\nCMD ["postgres"]')
    assert read(folder).module == "main:app"


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({}, "3.11"),
        ({".python-version": "3.13\n"}, "3.13"),
        ({".python-version": "cpython-3.12.1-linux"}, "3.12"),
        ({".tool-versions": "nodejs 20\npython 3.12.4\n"}, "3.12"),
        ({"runtime.txt": "python-3.10.2"}, "3.10"),
        ({"pyproject.toml": '[project]\nname="a"\nrequires-python=">=3.9"'}, "3.11"),
        ({"pyproject.toml": '[project]\nname="a"\nrequires-python=">=3.12.3,<4"'}, "3.12"),
        ({"pyproject.toml": '[project]\nname="a"\nrequires-python="==3.10.*"'}, "3.10"),
        ({"pyproject.toml": '[project]\nname="a"\nrequires-python="nonsense"'}, "3.11"),
        ({"pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.13"'}, "3.13"),
        ({"pyproject.toml": '[tool.poetry.dependencies]\npython = "~3.10"'}, "3.10"),
        ({"Dockerfile": "FROM python:3.14-slim\nCMD uvicorn main:app"}, "3.14"),
        ({"Dockerfile": "FROM ghcr.io/astral-sh/uv:python3.12-bookworm\nCMD uvicorn main:app"}, "3.12"),
    ],
)
def test_python_versions(files: dict[str, str], version: str, tmp_path: Path) -> None:
    repository(tmp_path, main_py=APP)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert read(tmp_path).python == version


@pytest.mark.parametrize(
    ("files", "manager", "problem"),
    [
        ({"uv.lock": ""}, "uv", ""),
        ({"requirements.txt": "fastapi"}, "requirements", ""),
        ({"requirements.txt": "-r base.txt"}, "requirements", "uv pip compile"),
        ({"requirements__prod.txt": "fastapi"}, "requirements", "uv pip compile requirements/prod.txt"),
        ({"pyproject.toml": "[tool.poetry]\nname='a'\n"}, "poetry", "poetry lock"),
        ({"Pipfile": "[packages]\nfastapi = '*'"}, "pipenv", "pipenv requirements"),
        (
            {"setup_py": "from setuptools import setup\nsetup(install_requires=['fastapi>=0.1'])"},
            "setup",
            "requirements.txt",
        ),
        ({}, "none", "No file lists the packages to install"),
    ],
)
def test_package_managers(files: dict[str, str], manager: str, problem: str, tmp_path: Path) -> None:
    found = read(repository(tmp_path, main_py=APP, **files))
    assert found.packages.manager == manager
    assert (problem in " ".join(found.problems)) if problem else not found.problems


def test_a_member_of_a_workspace_has_its_lock_elsewhere(tmp_path: Path) -> None:
    files = {"api__main_py": APP, "api__pyproject.toml": "[project]\nname = 'api'\n", "uv.lock": ""}
    found = read(repository(tmp_path, **files))
    assert found.source == PurePosixPath("api")
    assert "uv export --no-emit-workspace -o api/requirements.txt" in found.problems[0]


@pytest.mark.parametrize(
    ("source", "packages", "expected"),
    [
        ("from celery import Celery\napp = Celery('a')", "celery", {"worker": "celery -A jobs worker --concurrency 1"}),
        ("from celery import Celery\nq = Celery('a')", "celery", {"worker": "celery -A jobs:q worker --concurrency 1"}),
        ("class WorkerSettings:\n    functions = []", "arq", {"worker": "arq jobs.WorkerSettings"}),
        ("class WorkerSettings:\n    functions = []", "", {}),
        (
            "from taskiq_redis import ListQueueBroker\nbroker = ListQueueBroker('x')",
            "taskiq",
            {"worker": "taskiq worker jobs:broker --workers 1"},
        ),
        (
            "from dramatiq.brokers.redis import RedisBroker\nbroker = RedisBroker()",
            "dramatiq",
            {"worker": "dramatiq jobs --processes 1"},
        ),
    ],
)
def test_workers(source: str, packages: str, expected: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(packages)
    found = read(repository(tmp_path, main_py=APP, jobs_py=source))
    assert {process.name: process.command for process in found.workers} == expected


@pytest.mark.parametrize(
    ("files", "release"),
    [
        ({"alembic.ini": "[alembic]"}, "alembic upgrade head"),
        ({"Dockerfile": "FROM x\nWORKDIR /a\nCMD uvicorn main:app", "alembic.ini": ""}, "alembic upgrade head"),
        ({"db__alembic.ini": "[alembic]"}, "alembic -c db/alembic.ini upgrade head"),
        (
            {
                "alembic.ini": "[alembic]",
                "migrate_py": "from alembic import command\ncommand.upgrade(None, 'head')\n"
                'if __name__ == "__main__":\n    pass\n',
            },
            "python -m migrate",
        ),
        ({}, ""),
    ],
)
def test_release_commands(files: dict[str, str], release: str, tmp_path: Path) -> None:
    assert read(repository(tmp_path, main_py=APP, **files)).release.release == release


def test_metrics_port_and_own_gunicorn(tmp_path: Path) -> None:
    conf = 'import os\nport = int(os.environ.get("METRICS_PORT") or 9200)\n'
    found = read(repository(tmp_path, main_py=APP, **{"requirements.txt": "gunicorn", "gunicorn.conf_py": conf}))
    assert (found.metrics_port, found.web_command) == (9200, "gunicorn -c gunicorn.conf.py main:app")
