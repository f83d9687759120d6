"""A small Pulumi project of the tests, run by the real engine on the local AWS."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from slipway_local.session import backend_url, open_session

PROJECT = "name: probe\nruntime: {name: python}\n"


class Stack:
    """A small Pulumi project of the tests."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "Pulumi.yaml").write_text(PROJECT)
        session = open_session()
        self.pulumi = str(session.toolchain.pulumi)
        state = root / "state"
        state.mkdir()
        self.env = session.environ() | {"PULUMI_BACKEND_URL": backend_url(state)}
        self.run("stack", "init", "probe")

    def program(self, body: str) -> None:
        (self.root / "__main__.py").write_text(f"import pulumi\nimport pulumi_aws as aws\n{body}\n")

    def run(self, *arguments: str, code: int = 0) -> str:
        command = [self.pulumi, *arguments, "--non-interactive"]
        done = subprocess.run(command, cwd=self.root, env=self.env, capture_output=True, text=True, timeout=900)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def up(self, code: int = 0) -> str:
        return self.run("up", "--yes", "--skip-preview", "--stack", "probe", code=code)

    def state(self) -> str:
        return self.run("stack", "export", "--stack", "probe")

    def resource(self, name: str, type: str = "") -> Any:
        resources = json.loads(self.state())["deployment"]["resources"]
        return next(r for r in resources if r["urn"].endswith(f"{type}::{name}"))
