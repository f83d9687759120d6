"""`slipway init` from the wheel, outside this repository: from an app to its address, and back to nothing."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slipway_local.docker_engine import ensure_docker, stop_managed_docker
from tests.local.clone import COMMAND_SECONDS, ROOT, Clone

pytestmark = pytest.mark.e2e

UV = Path(sys.executable).with_name("uv")
COMMAND = "infra/.venv/bin/slipway"
WRITTEN = {
    ".gitignore",
    "Pulumi.yaml",
    "infra/.slipway-init.json",
    "infra/__main__.py",
    "infra/pyproject.toml",
    "infra/uv.lock",
    "stacks/Pulumi.dev.yaml",
    "stacks/Pulumi.local.yaml",
    "stacks/Pulumi.prod.yaml",
    "stacks/Pulumi.staging.yaml",
    "stacks/app.yaml",
}
REQUESTS = {
    "monorepo": [("GET", "/orders", "", (200, '{"billing":"http://localhost"}'))],
    "poetry": [("GET", "/api/v1/accounts/", "", (200, "[]"))],
    "sync_orm": [
        ("POST", "/notes", '{"text": "Lighthouse"}', (201, "1")),
        ("GET", "/notes", "", (200, '["Lighthouse"]')),
    ],
}
"""App of tests/apps -> method, path and body of requests, and what the app answers. One is one of two apps of its
repository, with requirements.txt and no store, one has Poetry's lock and alembic, one a Dockerfile and an ORM."""
OF_A_MONOREPO = "services/orders"


class Project(Clone):
    """A team's repository with what init wrote: no file of this one, and the commands of its own environment."""

    def __init__(self, root: Path, port: int) -> None:
        super().__init__(root, port)
        del self.env["PYTHONPATH"]
        self.env["PATH"] = f"{UV.parent}:{os.environ['PATH']}"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        self.url = ""
        return subprocess.Popen(
            [self.root / COMMAND, *arguments],
            cwd=self.root,
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def uv(self, *arguments: str) -> str:
        """What a command of uv prints of both streams."""
        done = subprocess.run(
            [str(UV), *arguments],
            cwd=self.root,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def files(self) -> set[str]:
        """The paths of its files, without those that its .gitignore names."""
        paths = (path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file())
        return {str(path) for path in paths if not {".venv", ".slipway", "__pycache__"} & set(path.parts)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kit as it is published."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [str(UV), "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@contextmanager
def copied(name: str, folder: Path) -> Iterator[Project]:
    """An app of tests/apps as a repository of its own; its stack is taken down at the end, whatever came of it."""
    shutil.copytree(ROOT / "tests" / "apps" / name, folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    project = Project(folder, port)
    try:
        yield project
    finally:
        if (folder / COMMAND).exists():
            project.slipway("down")


@pytest.mark.parametrize("name", REQUESTS)
def test_one_init_and_one_up_bring_an_app_to_its_address(name: str, wheel: Path, tmp_path: Path) -> None:
    with copied(name, tmp_path / name) as project:
        before = project.files()
        which = ["--app", OF_A_MONOREPO] if name == "monorepo" else []
        project.uv("tool", "run", "--from", str(wheel), "slipway", "init", "--yes", "--kit", str(wheel), *which)
        source = f"{OF_A_MONOREPO}/" if which else ""
        assert project.files() - before == {*WRITTEN, f"{source}.dockerignore"}
        project.uv("sync", "--quiet", "--project", "infra")
        stack_file = (project.root / "stacks" / "Pulumi.local.yaml").read_text()
        printed = project.slipway("up")
        now = (project.root / "stacks" / "Pulumi.local.yaml").read_text()
        assert re.sub(r"^encryptionsalt: .*\n", "", now, count=1, flags=re.MULTILINE) == stack_file != now
        assert f"  {COMMAND} status" in printed
        assert "make " not in printed[printed.index("Next:") :]
        status = project.status()
        assert (status["health"], status["troubles"]) == ("healthy", [])
        for method, path, body, answer in REQUESTS[name]:
            assert project.request(method, path, body, status["url"]) == answer
        assert "Nothing to change." in project.slipway("upgrade", "--kit", str(wheel))
    assert project.processes() == []
    ensure_docker()  # `down` has stopped the engine, if nothing else ran in it
    try:
        assert (project.containers(), project.volumes()) == ([], [])
    finally:
        stop_managed_docker()
