"""Where this repository is, and the Pulumi project that the kit's tests run in.

That project is not the repository's own: a team edits the stack files in stacks/, and `slipway check` guards those.
"""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "tests" / "fixtures"
"""The tests' project: Pulumi.yaml, infra/__main__.py, stacks/. Tests of tests/infra and tests/docs have it as their
working directory, from which `project_root` finds it."""
STACK_FILES = sorted((FIXTURES / "stacks").glob("Pulumi.*.yaml"))
STACK_NAMES = [path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in STACK_FILES]
MADE_BY_TOOLS = (".git", ".venv", ".slipway", "__pycache__", ".*_cache", ".coverage*")
"""What is not the project's own in its folder, and may vanish while it is copied."""


def copy_project(target: Path, *left_out: str) -> None:
    """Copies this repository's files to `target`, without files and folders of the names in `left_out`."""
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*MADE_BY_TOOLS, *left_out), symlinks=True)
