"""`slipway eject`: copies the package into the project, for teams that want to change it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import slipway
from slipway.cli.console import stdout_console
from slipway.cli.init.kit import installed_version
from slipway.config.errors import SlipwayError
from slipway.config.project import PROJECT_FILE, project_root

COPY = Path("infra") / "slipway"
MARK = "EJECTED"
"""A file in the copy with the version of the kit."""


def eject() -> None:
    """Copy the package into infra/slipway of this project. Your program and commands then use the copy."""
    root = project_root()
    target = root / COPY
    package = Path(slipway.__file__).resolve().parent
    if target.exists():
        raise SlipwayError(f"{COPY} exists: it is a copy of before.", f"To copy this version: rm -r {COPY}")
    if not (package / "data" / "docker").is_dir():
        raise SlipwayError(
            "This slipway runs from its sources, whose package lacks the files of its images.",
            "Eject from an installed kit: uv run --project infra slipway eject",
        )
    shutil.copytree(package, target, ignore=shutil.ignore_patterns("__pycache__", "reference_app"))
    (target / MARK).write_text(f"slipway-kit {installed_version()}\n", encoding="utf-8")
    count = sum(1 for path in target.rglob("*") if path.is_file())
    stdout_console.print(
        f"{COPY}: {count} files of slipway-kit {installed_version()}. `import slipway` in infra/ and the command "
        "`slipway` use them from now on; what they depend on stays in infra/pyproject.toml.\n"
        f"To undo it: rm -r {COPY}. Upgrades of the kit do not change the copy.",
        markup=False,
        soft_wrap=True,
    )


def run_ejected_copy() -> None:
    """Re-executes the command with the project's copy of the package, if there is one; else returns.

    PYTHONPATH makes the command's child processes use the copy too.
    """
    copy = _find_copy(Path.cwd())
    if copy is None or Path(slipway.__file__).resolve().parent == copy.resolve():
        return
    paths = [str(copy.parent), *filter(None, [os.environ.get("PYTHONPATH", "")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    os.execve(sys.executable, [sys.executable, "-m", "slipway.cli.main", *sys.argv[1:]], environment)  # noqa: S606 - no shell


def _find_copy(folder: Path) -> Path | None:
    """Returns the ejected package of the project of a folder; None if there is none."""
    for candidate in (folder, *folder.parents):
        if (candidate / PROJECT_FILE).is_file():
            return candidate / COPY if (candidate / COPY / MARK).is_file() else None
    return None
