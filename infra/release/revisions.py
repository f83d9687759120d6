"""Alembic's revisions as their files say, without running them: two heads are seen before anything changes."""

from __future__ import annotations

import ast
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from infra.errors import SlipwayError

LEFT_OUT = {"node_modules", "__pycache__"}
"""Folders that nobody's migrations are in; hidden ones besides."""


def check_heads(source: Path, command: Sequence[str]) -> None:
    """Look at every folder of revisions below `source`, for the release step's `command`.

    Raises `SlipwayError` with the names of the heads where there is more than one, unless the command upgrades to all
    of them.
    """
    if not command or "heads" in " ".join(command).split():
        return
    for folder in _folders(source):
        found = heads(folder)
        if len(found) > 1:
            told = " and ".join(f"{revision} ({name})" for revision, name in sorted(found.items()))
            raise SlipwayError(
                f"Migrate: {folder.relative_to(source.parent)} has {len(found)} heads, {told}: "
                "which one the database is to come to is not said.",
                f"alembic merge -m 'both' {' '.join(sorted(found))}; or `release: alembic upgrade heads` for all.",
            )


def plan(command: Sequence[str]) -> list[str]:
    """What prints the SQL that a release step would run, where its command is Alembic's own; else nothing.

    It asks the database for its revision first, in a shell of the app's image.
    """
    if "alembic" not in command or "upgrade" not in command[:-1]:
        return []
    at = command.index("upgrade")
    alembic, target = shlex.join(command[:at]), shlex.quote(command[at + 1])
    return [
        "sh",
        "-c",
        f"now=$({alembic} current | cut -d ' ' -f 1) && {alembic} upgrade \"${{now:-base}}:\"{target} --sql",
    ]


def heads(folder: Path) -> dict[str, str]:
    """The revisions in a folder that no other one follows -> their files' names."""
    names: dict[str, str] = {}
    followed: set[str] = set()
    for file in sorted(folder.rglob("*.py")):
        said = _constants(file)
        if isinstance(revision := said.get("revision"), str):
            names[revision] = file.name
            followed |= _several(said.get("down_revision"))
    return {revision: name for revision, name in names.items() if revision not in followed}


def _folders(source: Path) -> Iterator[Path]:
    """`versions` beside an `env.py`: as Alembic lays it out."""
    for root, folders, files in os.walk(source):
        folders[:] = [name for name in folders if name not in LEFT_OUT and not name.startswith(".")]
        if "env.py" in files and "versions" in folders:
            yield Path(root) / "versions"


def _constants(file: Path) -> dict[str, object]:
    """The names that a module gives a plain value, at its top."""
    found: dict[str, object] = {}
    for node in ast.parse(file.read_text(encoding="utf-8"), str(file)).body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                try:
                    found[name] = ast.literal_eval(value)
                except ValueError:
                    continue  # made by code: not what a revision is called
    return found


def _several(value: object) -> set[str]:
    return {value} if isinstance(value, str) else set(value) if isinstance(value, (tuple, list)) else set()
