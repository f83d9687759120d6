"""Offers the reference app in an empty folder as a starting point; it then belongs to the team."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path, PurePosixPath

from slipway.cli.init.app_file import SCHEMA
from slipway.cli.init.sources import SKIPPED_FOLDERS, SourceTree
from slipway.config.errors import SlipwayError
from slipway.config.schemas import APP_SCHEMA_FILE

NO_CODE = {
    "LICENSE",
    "LICENSE.md",
    "README.md",
    "README.rst",
    "README",
    ".gitignore",
    ".gitattributes",
    ".editorconfig",
}
"""Files that an empty folder may have: those that GitHub creates in a new repository."""


def reference_app_folder() -> Path:
    """Returns the kit's data folder with `app/`, `tests/app/` and `stacks/app.yaml`, in a repository's layout.

    Raises:
        SlipwayError: this kit was installed without it.
    """
    folder = Path(str(files("slipway"))) / "data" / "reference_app"
    if not (folder / "app").is_dir():
        raise SlipwayError("This kit has no reference app.", "Run init in the repository of a FastAPI app.")
    return folder


def is_empty(tree: SourceTree) -> bool:
    """Whether a folder has no code: only git's files, a licence and a readme."""
    return all(path.name in NO_CODE and len(path.parts) == 1 for path in tree.files)


def reference_app_file(folder: Path) -> bytes:
    """Returns the reference app's stacks/app.yaml, with the schema's path in a project that does not commit it."""
    text = (folder / "stacks" / "app.yaml").read_text(encoding="utf-8")
    return text.replace(f"$schema={APP_SCHEMA_FILE.name}", f"$schema={SCHEMA}", 1).encode()


def reference_files(folder: Path) -> dict[PurePosixPath, bytes]:
    """Returns path in the new repository -> content, for each file of the reference app except its stacks."""
    contents: dict[PurePosixPath, bytes] = {}
    for path in sorted(folder.rglob("*")):
        relative = PurePosixPath(path.relative_to(folder).as_posix())
        is_left_out = any(part in SKIPPED_FOLDERS or part == ".venv" for part in relative.parts)
        if path.is_file() and not is_left_out and relative.parts[0] != "stacks" and path.suffix != ".pyc":
            contents[relative] = path.read_bytes()
    return contents
