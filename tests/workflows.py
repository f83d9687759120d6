"""The workflows' files as data: their jobs' commands, with stand-ins for what GitHub would put in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".github" / "workflows"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yml"))
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def load(name: str, root: Path = ROOT) -> dict[str, Any]:
    """A workflow's file; its key `on` is `True` to YAML."""
    found: dict[str, Any] = yaml.safe_load((root / ".github" / "workflows" / f"{name}.yml").read_text())
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


def steps(name: str, job: str = "", root: Path = ROOT) -> Iterator[Step]:
    """The commands of a workflow's jobs, or of one, in their order."""
    workflow = load(name, root)
    for label, about in workflow["jobs"].items():
        if job and label != job:
            continue
        around = workflow.get("env", {}) | about.get("env", {})
        for step in about["steps"]:
            if "run" in step:
                env = {key: str(value) for key, value in (around | step.get("env", {})).items()}
                yield Step(label, step["name"], step["run"].strip(), env, step.get("id", ""))
