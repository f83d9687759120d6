"""Where the local AWS keeps things: per clone in `.slipway/`, per user in the cache."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
"""The repository's root."""


@cache
def project() -> str:
    """The Pulumi project's name, which everything of a stack is named after."""
    return str(yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["name"])


def cache_dir() -> Path:
    """Downloads and builds that survive `make down`: SLIPWAY_CACHE, else the XDG cache folder."""
    explicit = os.environ.get("SLIPWAY_CACHE")
    base = Path(explicit) if explicit else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "slipway"
    return _made(base.expanduser())


def run_dir() -> Path:
    """State of this clone's running environment: pid files, logs, Pulumi state (mode 0700)."""
    return _made(Path(os.environ.get("SLIPWAY_RUN_DIR") or ROOT / ".slipway"))


def link_project(folder: Path) -> None:
    """Make `folder` a project of its own, with the program of this one: what the engine writes stays in it."""
    (folder / "stacks").mkdir(parents=True, exist_ok=True)
    for name in ("infra", ".venv", "pyproject.toml"):  # the program finds everything else beside its own files
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(ROOT / name)
    (folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
