"""Records the files that init wrote: the common ancestor in the merge of `slipway upgrade`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from slipway.config.errors import SlipwayError

NOTES_FILE = PurePosixPath("infra/.slipway-init.json")


@dataclass(frozen=True)
class InitNotes:
    """The last run of init or upgrade."""

    kit_version: str
    """Empty if the kit is not an installed distribution."""
    app_file: str
    """The file of the app's module, relative to the repository."""
    name: str
    """Name of the Pulumi project."""
    workflows: bool
    from_reference: bool
    files: dict[str, str] = field(default_factory=dict)
    """Path -> text as init wrote it."""


def read_notes(root: Path) -> InitNotes | None:
    """Returns the notes of a project; None if there are none.

    Raises:
        SlipwayError: the file is not in init's format.
    """
    path = root / NOTES_FILE
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return InitNotes(
            kit_version=str(data["kit"]),
            app_file=str(data["app"]),
            name=str(data["name"]),
            workflows=bool(data["workflows"]),
            from_reference=bool(data["from_reference"]),
            files={str(name): str(text) for name, text in data["files"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SlipwayError(
            f"{NOTES_FILE}, the record of `slipway init`, cannot be read: {error!r}",
            f"Restore it from git: git checkout -- {NOTES_FILE}",
        ) from None


def write_notes(root: Path, notes: InitNotes) -> None:
    """Writes the notes of a project.

    Raises:
        SlipwayError: the file cannot be written.
    """
    data = {
        "about": "What `slipway init` wrote, for `slipway upgrade` to merge from. Commit it, and do not edit it.",
        "kit": notes.kit_version,
        "app": notes.app_file,
        "name": notes.name,
        "workflows": notes.workflows,
        "from_reference": notes.from_reference,
        "files": dict(sorted(notes.files.items())),
    }
    try:
        (root / NOTES_FILE).parent.mkdir(parents=True, exist_ok=True)
        (root / NOTES_FILE).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise SlipwayError(
            f"{NOTES_FILE}, the record of `slipway init`, cannot be written: {error.strerror or error}",
            f"Check its permissions: ls -ld {root}/infra",
        ) from None
