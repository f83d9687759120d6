"""The embedded default: with nothing set the app runs, wherever it is started and with any number of processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from app.core.local_storage import find_folder
from app.core.settings import Settings
from tests.app.conftest import PASSWORD
from tests.app.servers import free_port
from tests.app.test_production import ROOT, Gunicorn, environment, eventually

NOWHERE = "/dev/null/none"
GUIDE = """
from fastapi.testclient import TestClient
from app.main import app

client = TestClient(app)


def test_get_users():
    response = client.get("/api/v1/users/")
    assert response.status_code == 200
    assert isinstance(response.json(), list)
"""


def bare(**more: str) -> dict[str, str]:
    """An environment in which nothing is set."""
    return {key: value for key, value in environment(**more).items() if key != "SECRET_KEY"}


def run(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=bare(**variables), capture_output=True, text=True)


def test_the_guides_test_passes_word_for_word_and_twice_in_a_clean_folder(tmp_path: Path) -> None:
    again = GUIDE.split("\n\n\n")[1].replace("test_get_users", "test_get_users_again")
    (tmp_path / "test_guide.py").write_text(f"{GUIDE}\n\n{again}")
    for _ in range(2):
        done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path)
        assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_an_account_outlives_the_requests_of_a_client_that_nobody_started(tmp_path: Path) -> None:
    """The same client in a row of requests, each on an event loop of its own; an export's job ends with its request."""
    script = f"""
from fastapi.testclient import TestClient
from app.main import app

client = TestClient(app)
account = {{"email": "a@example.com", "display_name": "Ada", "password": "{PASSWORD}"}}
assert client.post("/api/v1/users/", json=account).status_code == 201
login = client.post("/api/v1/auth/token", data={{"username": "a@example.com", "password": "{PASSWORD}"}})
client.headers["authorization"] = "Bearer " + login.json()["access_token"]
assert client.get("/api/v1/users/me").json()["display_name"] == "Ada"
started = client.post("/api/v1/items/exports")
assert client.get(started.headers["location"]).json()["status"] == "done"
"""
    done = run("-c", script, folder=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def unset(tmp_path: Path) -> Iterator[Gunicorn]:
    running = Gunicorn(tmp_path, workers=None)
    yield running
    running.stop()


def test_every_worker_takes_the_tokens_of_every_other_and_sees_its_changes(unset: Gunicorn) -> None:
    url = f"http://127.0.0.1:{unset.port}/api/v1"
    account = {"email": "a@example.com", "display_name": "Ada", "password": PASSWORD}
    assert httpx.post(f"{url}/users/", json=account).status_code == 201
    tokens = httpx.post(f"{url}/auth/token", data={"username": "a@example.com", "password": PASSWORD}).json()
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    made = httpx.post(f"{url}/items/", json={"title": "0"}, headers=headers).json()
    seen = []
    for number in range(20):  # each on a connection of its own, so that all workers get some
        httpx.patch(f"{url}/items/{made['id']}", json={"title": str(number)}, headers=headers).raise_for_status()
        seen += [httpx.get(f"{url}/items/{made['id']}", headers=headers).json()["title"] for _ in range(3)]
    assert seen == [str(number) for number in range(20) for _ in range(3)]
    started = [line for line in unset.log.read_text().splitlines() if '"event": "started"' in line]
    assert len(started) == 4, "gunicorn's default"


def test_a_working_directory_that_cannot_be_written_to_is_left_alone(tmp_path: Path) -> None:
    """As in the image, where it is root's and the app is not: the temporary directory is used."""
    foreign, temporary, port = tmp_path / "foreign", tmp_path / "temporary", free_port()
    foreign.mkdir(mode=0o555)
    temporary.mkdir()
    # Root may write anywhere, unless it is told that it may not.
    weaken = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    command = [*weaken, sys.executable, "-m", "uvicorn", "app.main:app", "--port", str(port)]
    server = subprocess.Popen(command, cwd=foreign, env=bare(TMPDIR=str(temporary)))
    try:
        assert eventually(lambda: _status(f"http://127.0.0.1:{port}/api/v1/users/")) == 200
        assert list(foreign.iterdir()) == []
        (folder,) = temporary.glob("app-*")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "signing-key").stat().st_mode & 0o777 == 0o600
    finally:
        server.terminate()
        server.wait()


def _status(url: str) -> int | None:
    try:
        return httpx.get(url).status_code
    except httpx.ConnectError:
        return None


@pytest.mark.parametrize("command", ["gunicorn -c app/gunicorn.conf.py app.main:app", "app.migrate"])
def test_without_a_place_to_write_one_line_says_what_is_needed(command: str) -> None:
    done = run("-m", *command.split(), folder=ROOT, DATA_DIR=NOWHERE)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"The app cannot start: {NOWHERE}: not writable; set DATA_DIR")
    assert "DATABASE_URL and SECRET_KEY" in line


def test_every_wrong_setting_is_in_that_line(tmp_path: Path) -> None:
    done = run("-m", "app.migrate", folder=tmp_path, WEB_CONCURRENCY="many", ENVIRONMENT="prod", PYTHONPATH=str(ROOT))
    assert done.returncode == 1
    assert "WEB_CONCURRENCY: " in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_that_somebody_else_put_there_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("app.core.local_storage.FOLDER", NOWHERE)
    assert find_folder(None, "app") == tmp_path / f"app-{os.geteuid()}"
    (tmp_path / f"app-{os.geteuid()}").symlink_to("/tmp")  # noqa: S108
    assert find_folder(None, "app") is None


def test_names_follow_from_the_projects_name(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, project_name="Ada's Shop", data_dir=tmp_path)  # type: ignore[call-arg]
    assert settings.url.database == f"{tmp_path}/ada-s-shop.db"
    assert (tmp_path / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize(("changes", "kept"), [({}, 30), ({"web_concurrency": 2}, 0)])
def test_answers_are_cached_where_every_process_would_see_a_change(changes: dict[str, int], kept: int) -> None:
    assert Settings(_env_file=None, **changes).response_ttl == kept  # type: ignore[arg-type]
    on_redis = Settings(_env_file=None, redis_host="cache", **changes)  # type: ignore[arg-type]
    assert on_redis.response_ttl == 30


def test_the_example_file_lists_every_variable_with_its_default() -> None:
    lines = re.findall(r"^# ([A-Z_]+)=(\S*)", (ROOT / ".env.example").read_text(), re.MULTILINE)
    listed = dict(lines)
    assert set(listed) == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, int | float | str):
            assert listed[name.upper()].lower() == str(field.default).lower(), name
