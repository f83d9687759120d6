"""A team's repository that has the kit as a dependency: an app of tests/apps, the wheel, and no file of this one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.local.clone import COMMAND_SECONDS, ROOT, Clone
from tests.ports import free_port

UV = Path(sys.executable).with_name("uv")
COMMAND = "infra/.venv/bin/slipway"


class TeamProject(Clone):
    """A repository with what init wrote, and the commands of its own environment."""

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

    def uv(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of uv in the repository, which has to end with 0."""
        done = subprocess.run(
            [str(UV), *arguments],
            cwd=self.root,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def files(self) -> set[str]:
        """The paths of its files, without those that git ignores or keeps for itself."""
        paths = (path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file())
        return {str(path) for path in paths if not {".git", ".venv", ".slipway", "__pycache__"} & set(path.parts)}


def build_wheel(folder: Path) -> Path:
    """Builds the kit as it is published, into a folder."""
    build = [str(UV), "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@contextmanager
def team_project(name: str, folder: Path) -> Iterator[TeamProject]:
    """An app of tests/apps, or an empty folder where `name` is empty, as a repository of its own.

    Its stack is taken down at the end, whatever came of it.
    """
    if name:
        shutil.copytree(ROOT / "tests" / "apps" / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        folder.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    port = free_port()
    project = TeamProject(folder, port)
    try:
        yield project
    finally:
        if (folder / COMMAND).exists():
            project.slipway("down")
