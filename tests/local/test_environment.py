"""End to end: a clone of this repository is brought up, changed, broken into, and taken down.

One environment serves all tests of this file, in their order, for to bring one up takes a minute. It runs in a
copy of the work tree whose path has a space in it, on its own port and state, beside whatever else runs here.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx2 as httpx
import pytest

from infra.local.docker_engine import ensure_docker, stop_docker_if_ours

ROOT = Path(__file__).resolve().parents[2]
COMMAND_SECONDS = 900
EXPORT_SECONDS = 60

pytestmark = pytest.mark.e2e


class Clone:
    """A copy of the repository and the `slipway` command run in it."""

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        self.port = port
        # SLIPWAY_RUN_DIR is not this clone's: an `eval "$(slipway env)"` around the tests must not reach it.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SLIPWAY_RUN", "PULUMI_"))}
        self.env = inherited | {"SLIPWAY_PORT": str(port), "PYTHONPATH": str(root)}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "infra.cli", *arguments],
            cwd=self.root,
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def slipway(self, *arguments: str, code: int = 0) -> str:
        process = self.start(*arguments)
        stdout, stderr = process.communicate(timeout=COMMAND_SECONDS)
        assert process.returncode == code, f"slipway {arguments}: {process.returncode}\n{stdout}\n{stderr}"
        return stdout + stderr

    def status(self) -> dict[str, Any]:
        process = self.start("status", "--json")
        stdout, _ = process.communicate(timeout=60)
        found: dict[str, Any] = json.loads(stdout)
        return found

    def get(self, path: str) -> tuple[int, str]:
        parts = urlsplit(self.status()["url"])
        connection = http.client.HTTPConnection("127.0.0.1", parts.port or 80, timeout=10)
        try:
            connection.request("GET", path, headers={"Host": parts.netloc})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def containers(self) -> list[str]:
        return _docker("ps", "--all", "--quiet", "--filter", f"label=slipway.emulator={self.port}")

    def volumes(self) -> list[str]:
        return _docker("volume", "ls", "--quiet", "--filter", f"label=slipway.emulator={self.port}")

    def processes(self) -> list[str]:
        """Command lines of processes that run from this copy."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    words = (entry / "cmdline").read_bytes().decode(errors="replace")
                    inside = str(self.root) in (entry / "environ").read_bytes().decode(errors="replace")
                except (FileNotFoundError, ProcessLookupError, PermissionError):
                    continue
                if inside and words:
                    found.append(words.replace("\0", " "))
        return found


def _docker(*arguments: str) -> list[str]:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    root = tmp_path_factory.mktemp("a clone") / "of slipway"
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    (root / ".venv").symlink_to(Path(sys.executable).parents[1])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    clone = Clone(root, port)
    try:
        yield clone
    finally:
        clone.slipway("down")


def test_up_deploys_the_app_and_tells_where_it_answers(clone: Clone) -> None:
    told = clone.slipway("up")
    status = clone.status()
    assert status["url"] in told
    assert status["answers"]
    assert clone.get("/livez")[0] == 200
    assert clone.get("/readyz")[0] == 200


def test_the_tasks_run_the_digest_that_was_built(clone: Clone) -> None:
    status = clone.status()
    assert status["stack"] == "local"
    assert status["emulator"] == "running"
    assert len(status["tasks"]) == 2
    assert {task["image_digest"] for task in status["tasks"]} == {status["image_digest"]}
    assert {task["health"] for task in status["tasks"]} == {"HEALTHY"}


def test_an_item_ends_in_postgres_in_the_cache_and_in_a_finished_export(clone: Clone) -> None:
    url = clone.status()["url"].rstrip("/")
    host = urlsplit(url)
    with httpx.Client(base_url=f"http://127.0.0.1:{host.port}", headers={"host": host.netloc}, timeout=20) as api:
        ready = api.get("/readyz").json()
        assert {name: d["status"] for name, d in ready["dependencies"].items()} == {"database": "up", "redis": "up"}
        person = {"email": "ada@example.com", "display_name": "Ada", "password": "correct horse battery"}
        assert api.post("/api/v1/users/", json=person).status_code == 201
        form = {"username": person["email"], "password": person["password"]}
        token = api.post("/api/v1/auth/token", data=form).json()["access_token"]
        api.headers["authorization"] = f"Bearer {token}"
        item = api.post("/api/v1/items/", json={"title": "Lighthouse"}).json()
        for _ in range(2):  # the second from the cache
            assert api.get(f"/api/v1/items/{item['id']}").json()["title"] == "Lighthouse"
        export = api.post("/api/v1/items/exports").headers["location"]
        deadline = time.monotonic() + EXPORT_SECONDS
        while (found := api.get(export).json())["status"] != "done":
            assert time.monotonic() < deadline, found
            time.sleep(0.5)
        assert "Lighthouse" in api.get(f"{export}/file").text


def test_no_secret_shows_anywhere_but_where_it_belongs(clone: Clone) -> None:
    """The values themselves, as Secrets Manager has them, searched for in everything that a person may look at."""
    aws = {"endpoint_url": f"http://127.0.0.1:{clone.port}", "region_name": "us-east-1"}
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    manager = boto3.client("secretsmanager", **aws, **keys)  # type: ignore[call-overload]  # of the local AWS
    values: set[str] = set()
    for secret in manager.list_secrets()["SecretList"]:
        content = json.loads(manager.get_secret_value(SecretId=secret["ARN"])["SecretString"])
        values |= {value for key, value in content.items() if key != "username"}
    assert len(values) == 4  # three generated ones, and the database owner's password
    run = clone.root / ".slipway"
    looked_at = {str(path): path.read_text(errors="replace") for path in run.rglob("*") if path.is_file()}
    assert any("state" in name for name in looked_at)
    looked_at["status"] = clone.slipway("status", "--json")
    looked_at["app's log"] = clone.slipway("logs", "app", "-n", "1000")
    for image in _docker("images", "--quiet", "--filter", f"reference=localhost:{clone.port}/*"):
        looked_at[f"image {image}"] = " ".join(_docker("history", "--no-trunc", image))
    found = {(name, value[:4]) for name, text in looked_at.items() for value in values if value in text}
    assert found == set()


def test_nothing_listens_beyond_this_machine(clone: Clone) -> None:
    ports = " ".join(_docker("ps", "--filter", f"label=slipway.emulator={clone.port}", "--format", "{{.Ports}}"))
    assert "->5432/tcp" in ports
    assert "0.0.0.0" not in ports  # noqa: S104 - what must not be
    assert "[::]" not in ports


def test_up_again_changes_nothing_and_says_so(clone: Clone) -> None:
    before = clone.status()
    assert "Nothing to change." in clone.slipway("up")
    after = clone.status()
    assert before["tasks"] == after["tasks"]


def test_plain_pulumi_works_on_the_same_stack(clone: Clone) -> None:
    script = """
        eval "$(python -m infra.cli env)"
        pulumi preview -s local --expect-no-changes && pulumi stack output url -s local
    """
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=clone.root,
        env=clone.env | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert clone.status()["url"] in done.stdout


def test_the_logs_of_app_and_emulator_can_be_read(clone: Clone) -> None:
    assert '"' in clone.slipway("logs", "app")
    assert clone.slipway("logs", "emulator")


def test_a_changed_line_of_the_app_is_served(clone: Clone) -> None:
    before = clone.status()
    path = clone.root / "app" / "main.py"
    path.write_text(
        path.read_text() + '\n\n@app.get("/changed", include_in_schema=False)\n'
        'async def changed() -> str:\n    return "new code"\n'
    )
    clone.slipway("up")
    after = clone.status()
    assert clone.get("/changed") == (200, '"new code"')
    assert before["image_digest"] != after["image_digest"]
    assert {task["image_digest"] for task in after["tasks"]} == {after["image_digest"]}


def test_a_dockerfile_that_fails_shows_the_builds_own_lines_and_the_old_app_serves_on(clone: Clone) -> None:
    dockerfile = clone.root / "docker" / "app" / "Dockerfile"
    good = dockerfile.read_text()
    dockerfile.write_text(good + "\nRUN echo this is the reason && false\n")
    try:
        told = clone.slipway("up", code=1)
    finally:
        dockerfile.write_text(good)
    assert "this is the reason" in told
    assert "Traceback" not in told
    assert clone.get("/livez")[0] == 200


def test_a_wrong_setting_is_named_with_what_is_allowed_before_anything_changes(clone: Clone) -> None:
    stack = clone.root / "stacks" / "Pulumi.local.yaml"
    good = stack.read_text()
    stack.write_text(good.replace("slipway:webMemory: 512", "slipway:webMemory: 700"))
    try:
        told = clone.slipway("up", code=1)
    finally:
        stack.write_text(good)
    assert "webMemory is 700" in told
    assert "512, 1024, 2048" in told
    assert "Traceback" not in told


def test_a_second_clone_is_told_what_is_in_its_way(clone: Clone, tmp_path: Path) -> None:
    second = Clone(clone.root, clone.port)
    second.env |= {"SLIPWAY_RUN_DIR": str(tmp_path / "run")}
    told = second.slipway("up", code=1)
    assert str(clone.port) in told
    assert "SLIPWAY_PORT" in told
    assert clone.status()["answers"]


def test_a_killed_engine_is_recovered_from_and_nothing_is_doubled(clone: Clone) -> None:
    path = clone.root / "app" / "main.py"
    path.write_text(path.read_text() + "\n# another revision\n")
    up = clone.start("up")
    engine = _wait_for_child(clone, "pulumi")
    time.sleep(2)
    os.kill(engine, signal.SIGKILL)
    up.communicate(timeout=COMMAND_SECONDS)
    assert up.returncode != 0
    clone.slipway("up")
    assert "Nothing to change." in clone.slipway("up")
    status = clone.status()
    assert status["answers"]
    assert len(status["tasks"]) == 2


def test_an_emulator_that_is_gone_is_not_trusted_to_be_there(clone: Clone) -> None:
    os.kill(int((clone.root / ".slipway" / "emulator.pid").read_text().split()[0]), signal.SIGKILL)
    time.sleep(1)
    assert clone.status()["emulator"] == "stopped"
    clone.slipway("up")
    assert clone.get("/livez")[0] == 200
    assert len(clone.containers()) == 5  # two web tasks, a worker, Postgres, Redis: nothing of the emulator before


def test_down_leaves_no_container_no_volume_no_process(clone: Clone) -> None:
    clone.slipway("down")
    assert clone.processes() == []
    assert clone.status()["emulator"] == "stopped"
    ensure_docker()  # `down` has stopped the engine, if nothing else ran in it
    try:
        assert clone.containers() == []
        assert clone.volumes() == []
    finally:
        stop_docker_if_ours()


def _wait_for_child(clone: Clone, name: str) -> int:
    """The pid of the engine that works on this copy."""
    deadline = time.monotonic() + COMMAND_SECONDS
    while time.monotonic() < deadline:
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                environ = (entry / "environ").read_bytes()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            is_up = Path(words[0].decode(errors="replace")).name == name and b"up" in words
            if is_up and str(clone.root).encode() in environ:
                return int(entry.name)
        time.sleep(0.1)
    raise AssertionError(f"no {name} was started")
