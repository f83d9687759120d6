"""The kit as a project's dependency: version, infra/pyproject.toml and the lock."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from slipway.config.errors import SlipwayError

DISTRIBUTION = "slipway-kit"
PYTHON = ">=3.11"
LOCK_SECONDS = 300


@dataclass(frozen=True)
class Kit:
    """The kit that a project depends on."""

    version: str = ""
    """Empty for any."""
    path: str = ""
    """A wheel, or the folder of its sources, relative to infra/ as uv reads it; empty for the package index."""
    python: str = PYTHON

    @property
    def requirement(self) -> str:
        """The version specifier after the distribution's name."""
        return f"=={self.version}" if self.version and not self.path else ""


def kit_in_use(path: Path | None, root: Path) -> Kit:
    """Returns the running kit, or the one at `path`, relative to infra/ of the project in `root`.

    Raises:
        SlipwayError: `path` does not exist.
    """
    if path is not None:
        if not path.exists():
            raise SlipwayError(f"--kit {path}: there is no such file.", "Name a wheel, or the folder of its sources.")
        return Kit(path=Path(os.path.relpath(path.resolve(), root.resolve() / "infra")).as_posix())
    return _installed_kit()


def _installed_kit() -> Kit:
    try:
        distribution = metadata.metadata(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return Kit()
    return Kit(distribution["Version"], python=distribution["Requires-Python"] or PYTHON)


def installed_version() -> str:
    """Returns the version of the running kit; empty if it is not an installed distribution."""
    return _installed_kit().version


def render_pyproject(name: str, kit: Kit) -> str:
    """Returns infra/pyproject.toml with the deployment's packages, separate from the app's."""
    text = f"""\
# Packages of the deployment, separate from the app's. uv.lock: `uv lock --project infra`.
[project]
name = "{name}-infra"
version = "0.1.0"
requires-python = "{kit.python}"
dependencies = ["{DISTRIBUTION}{kit.requirement}"]

[dependency-groups]
# The local AWS of `slipway up`. A pipeline omits it: uv sync --no-default-groups
local = ["{DISTRIBUTION}[local]{kit.requirement}"]

[tool.uv]
package = false
default-groups = ["local"]

# A separate workspace: keeps these packages out of a parent folder's lock.
[tool.uv.workspace]
members = []
"""
    if kit.path:
        text += f'\n[tool.uv.sources]\n{DISTRIBUTION} = {{ path = "{kit.path}" }}\n'
    return text


def find_uv() -> str:
    """Returns the path of uv: from PATH, from the variable UV (set by uvx), or from the package uv; empty for none."""
    uv = shutil.which("uv") or shutil.which(os.environ.get("UV", ""))
    if uv:
        return uv
    try:
        from uv import find_uv_bin
    except ImportError:
        return ""
    try:
        return str(find_uv_bin())
    except FileNotFoundError:
        return ""


def write_lock(folder: Path) -> bool:
    """Writes uv.lock in a folder; returns False if uv is not installed.

    Raises:
        SlipwayError: uv could not resolve the packages.
    """
    uv = find_uv()
    if not uv:
        return False
    # An active virtual environment would be another project's.
    environment = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "UV_PROJECT")}
    fix = f"Correct what it says, then: uv lock --project {folder.name}"
    try:
        result = subprocess.run(
            [uv, "lock", "--quiet"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LOCK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SlipwayError(f"The files are written, but `uv lock` did not end: {error}", fix) from None
    if result.returncode:
        raise SlipwayError(f"The files are written, but `uv lock` failed:\n{result.stderr.strip()}", fix)
    return True
