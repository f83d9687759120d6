"""Reads Alembic's revision files without running them, to detect several heads before anything changes."""

from __future__ import annotations

import ast
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from slipway.config.errors import SlipwayError

SKIPPED_FOLDERS = {"node_modules", "__pycache__"}
"""Folders without migrations; hidden ones are skipped as well."""


def check_heads(source: Path, command: Sequence[str]) -> None:
    """Checks every folder of revisions below `source`; `command`: the release task's.

    Raises `SlipwayError` with the heads if a folder has several, unless the command upgrades to all of them.
    """
    if not command or "heads" in " ".join(command).split():
        return
    for folder in _find_version_folders(source):
        heads = find_heads(folder)
        if len(heads) > 1:
            listed = " and ".join(f"{revision} ({name})" for revision, name in sorted(heads.items()))
            raise SlipwayError(
                f"Migrate: {folder.relative_to(source.parent)} has {len(heads)} heads, {listed}: "
                "the release command does not name the one to upgrade to.",
                f"alembic merge -m 'both' {' '.join(sorted(heads))}; or `release: alembic upgrade heads` for all.",
            )


def migration_sql_command(command: Sequence[str]) -> list[str]:
    """Returns the command that prints the SQL of a release task; empty if its command is not Alembic's own.

    It first queries the database's revision, in a shell of the app's image.
    """
    if "alembic" not in command or "upgrade" not in command[:-1]:
        return []
    position = command.index("upgrade")
    alembic = shlex.join(command[:position])
    target = shlex.quote(command[position + 1])
    return [
        "sh",
        "-c",
        f"now=$({alembic} current | cut -d ' ' -f 1) && {alembic} upgrade \"${{now:-base}}:\"{target} --sql",
    ]


def find_heads(folder: Path) -> dict[str, str]:
    """Returns revision -> file name of the heads in a folder."""
    names: dict[str, str] = {}
    with_successor: set[str] = set()
    for file in sorted(folder.rglob("*.py")):
        constants = _module_constants(file)
        if isinstance(revision := constants.get("revision"), str):
            names[revision] = file.name
            with_successor |= _as_set(constants.get("down_revision"))
    return {revision: name for revision, name in names.items() if revision not in with_successor}


def _find_version_folders(source: Path) -> Iterator[Path]:
    """Yields folders `versions` next to an `env.py`: Alembic's layout."""
    for root, folders, files in os.walk(source):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS and not name.startswith(".")]
        if "env.py" in files and "versions" in folders:
            yield Path(root) / "versions"


def _module_constants(file: Path) -> dict[str, object]:
    """Returns name -> literal value of a module's top-level assignments."""
    constants: dict[str, object] = {}
    for node in ast.parse(file.read_text(encoding="utf-8"), str(file)).body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                try:
                    constants[name] = ast.literal_eval(value)
                except ValueError:
                    continue  # computed: not a revision id
    return constants


def _as_set(value: object) -> set[str]:
    if isinstance(value, str):
        return {value}
    return set(value) if isinstance(value, (tuple, list)) else set()
