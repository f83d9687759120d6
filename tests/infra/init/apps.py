"""Small repositories for the tests of `slipway init`, and the kit's own checks of what it writes."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

from slipway.cli.init.detect import DetectedApp, detect, survey
from slipway.cli.init.files import compare, write
from slipway.cli.init.plan import InitOptions, InitPlan, make_plan
from slipway.cli.init.questions import Questions
from slipway.cli.init.variables import MappedVariables, map_variables
from slipway.config.app_spec.loader import parse_app
from slipway.config.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
APPS = ROOT / "tests" / "apps"
STACKS = ("local", "dev", "staging", "prod")
NOT_COPIED = shutil.ignore_patterns(".venv", "__pycache__", "*.pyc", "ready", ".*_cache")


def repository(folder: Path, **files: str) -> Path:
    """A folder with these files; `__` in a keyword is a `/`, `_py` at its end `.py`, and `INIT` a package's file."""
    for key, text in files.items():
        name = key.replace("__", "/").removesuffix("_py") + (".py" if key.endswith("_py") else "")
        path = folder / name.replace("INIT", "__init__.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return folder


def copy_of(name: str, folder: Path) -> Path:
    """A copy of an app of tests/apps, or of the reference app, as a repository of its own called like it."""
    target = folder / name
    if name == "reference":
        shutil.copytree(ROOT / "app", target / "app", ignore=NOT_COPIED)
        shutil.copy(ROOT / ".env.example", target)
    else:
        shutil.copytree(APPS / name, target, ignore=NOT_COPIED)
    return target


def read(folder: Path, index: int = 0) -> DetectedApp:
    """What is found of a repository's app."""
    tree, candidates = survey(folder)
    return detect(tree, candidates[index])


def mapped(folder: Path) -> MappedVariables:
    """The variables of a repository's only app."""
    return map_variables(read(folder))


def plan(folder: Path, **options: Any) -> InitPlan:
    """What init would do in a folder, with nobody to ask."""
    return make_plan(folder, InitOptions(**options), Questions(are_allowed=False))


def written_app(folder: Path, **options: Any) -> dict[str, Any]:
    """stacks/app.yaml, after init wrote its files into a folder."""
    result = plan(folder, **options)
    write(folder, compare(folder, result.files))
    data: dict[str, Any] = yaml.safe_load((folder / "stacks" / "app.yaml").read_text())
    return data


def refusals(folder: Path) -> dict[str, str]:
    """Stack -> why the kit refuses what init wrote; empty where it takes all of it."""
    app = yaml.safe_load((folder / "stacks" / "app.yaml").read_text())
    found: dict[str, str] = {}
    for stack in STACKS:
        try:
            parse_app(app, Settings.from_files(stack, folder), folder)
        except Exception as error:
            found[stack] = str(error)
    return found


@dataclass(frozen=True)
class Snapshot:
    """Every file of a folder, to see that none changed."""

    files: dict[str, bytes]

    @classmethod
    def of(cls, folder: Path) -> Snapshot:
        """The files as they are now."""
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        return cls({str(path.relative_to(folder)): path.read_bytes() for path in paths})


def git_init(folder: Path, remote: str = "") -> None:
    """Makes a folder a git repository, with a remote."""
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    if remote:
        subprocess.run(["git", "remote", "add", "origin", remote], cwd=folder, check=True)
