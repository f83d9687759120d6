"""docs/examples: the changes that docs/app.md shows are applied to the app as it is, and work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.conftest import PASSWORD, copy_of_the_app
from tests.app.test_production import ROOT, environment

EXAMPLES = ROOT / "docs" / "examples"
SCRIPT = f"""
from fastapi.testclient import TestClient
from app.main import app

account = {{"email": "a@example.com", "display_name": "Ada", "password": "{PASSWORD}"}}
with TestClient(app) as client:
    assert client.get("/api/v1/notes/").status_code == 401
    client.post("/api/v1/users/", json=account)
    login = client.post("/api/v1/auth/token", data={{"username": "a@example.com", "password": "{PASSWORD}"}})
    client.headers["authorization"] = "Bearer " + login.json()["access_token"]
    client.post("/api/v1/items/", json={{"title": "A draft"}})
    made = client.post("/api/v1/notes/", json={{"text": "Buy lamp oil"}})
    assert made.status_code == 201, made.text
    assert client.post("/api/v1/notes/", json={{"text": "\\u0000"}}).status_code == 422
    assert client.get("/api/v1/notes/").json() == [made.json()]
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = environment(DATA_DIR=str(folder / "data"), PYTHONPATH=str(folder))
    return subprocess.run([*arguments], cwd=folder, env=variables, capture_output=True, text=True)


def test_the_entity_and_the_job_of_the_documentation_work(tmp_path: Path) -> None:
    copy_of_the_app(tmp_path)
    for name in ("add-an-entity.diff", "add-a-job.diff"):
        applied = run(tmp_path, "git", "apply", str(EXAMPLES / name))
        assert applied.returncode == 0, applied.stderr
        assert name in (ROOT / "docs" / "app.md").read_text()
    done = run(tmp_path, sys.executable, "-c", SCRIPT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"event": "reminder"' in done.stdout
    assert '"drafts": 1' in done.stdout
    agree = run(tmp_path, sys.executable, "-m", "alembic", "-c", "app/alembic.ini", "check")
    assert agree.returncode == 0, agree.stdout + agree.stderr


def test_the_examples_are_in_the_houses_style(tmp_path: Path) -> None:
    copy_of_the_app(tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in ("add-an-entity.diff", "add-a-job.diff"):
        assert run(tmp_path, "git", "apply", str(EXAMPLES / name)).returncode == 0
    ruff = shutil.which("ruff", path=f"{ROOT}/.venv/bin:{os.environ['PATH']}")
    if ruff is None:
        pytest.skip("ruff is the repository's, and not here")
    for arguments in (("check",), ("format", "--check")):
        done = run(tmp_path, ruff, *arguments, "app")
        assert done.returncode == 0, done.stdout
