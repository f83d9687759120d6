"""The workflows' files as data, this repository's and those for a user's; GitHub's values have stand-ins."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".github" / "workflows"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yml"))
USER_FOLDER = ROOT / "infra" / "slipway" / "data" / "workflows"
"""What `slipway init` writes into a user's repository; a test holds it to `render_for_user`."""
GENERATED = ("deploy", "drift", "preview", "reap", "refresh")
"""Workflows of this repository that are a user's too. A user's ci.yml is written by hand."""
SETUP_STEP = """      - name: Install the packages
        run: make setup
"""
USER_SETUP_STEP = """      - uses: astral-sh/setup-uv@d0cc045d04ccac9d8b7881df0226f9e82c39688e # v6.8.0
        with: {version: UV_VERSION, enable-cache: false}
      - name: Install the packages of the deployment
        run: uv sync --project infra --frozen --no-default-groups
"""
TEST_JOB = re.compile(r"  test:\n    (if: vars\.PULUMI_BACKEND_URL[^\n]*\n)(?:    .*\n)+\n")
USER_SLIPWAY = "uv run --project infra --no-sync slipway"
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def render_for_user(name: str) -> str:
    """A workflow of this repository as it is in a user's, whose program is a project of its own in `infra`.

    Its packages come by uv, its commands run in that environment, and its app's tests are a workflow of its own.
    """
    text = (FOLDER / f"{name}.yml").read_text()
    uv = metadata.version("uv")
    text = text.replace(SETUP_STEP, USER_SETUP_STEP.replace("UV_VERSION", uv))
    text = text.replace(".venv/bin/slipway", USER_SLIPWAY)
    condition = TEST_JOB.search(text)
    if condition:
        text = TEST_JOB.sub("", text).replace("    needs: test\n", f"    {condition[1]}")
    return text


def load(name: str, root: Path = ROOT, *, folder: Path | None = None) -> dict[str, Any]:
    """A workflow's file of the repository `root`, or of a `folder`; its key `on` is `True` to YAML."""
    file = (folder or root / ".github" / "workflows") / f"{name}.yml"
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found


@dataclass
class Step:
    """One `run:` of a job."""

    job: str
    name: str
    run: str
    env: Mapping[str, str]
    id: str = ""


@dataclass
class Github:
    """What GitHub knows when a workflow runs."""

    values: dict[str, str] = field(default_factory=dict)
    """Expression, as it is written between the braces -> its value."""

    def fill(self, text: str) -> str:
        """`text` with the values in the place of its expressions; an unknown one is a `KeyError`."""
        return EXPRESSION.sub(lambda found: self.values[found[1]], text)


def steps(name: str, job: str = "", root: Path = ROOT, *, folder: Path | None = None) -> Iterator[Step]:
    """The commands of a workflow's jobs, or of one, in their order."""
    workflow = load(name, root, folder=folder)
    for label, about in workflow["jobs"].items():
        if job and label != job:
            continue
        around = workflow.get("env", {}) | about.get("env", {})
        for step in about["steps"]:
            if "run" in step:
                env = {key: str(value) for key, value in (around | step.get("env", {})).items()}
                yield Step(label, step["name"], step["run"].strip(), env, step.get("id", ""))
