"""`slipway schema`: writes the JSON schemas with which editors validate and complete app.yaml and stack files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.console import stdout_console
from slipway.config.errors import SlipwayError
from slipway.config.project import project_root
from slipway.config.text_files import read_text_file


def schema(
    write: Annotated[bool, typer.Option("--write", help="Write the files that differ.")] = False,
) -> None:
    """Compare the JSON schemas of app.yaml and stack files with this version of the kit's, or write them."""
    root = project_root()
    outdated = find_outdated_files(root)
    for path, text in outdated.items():
        if write:
            write_generated_file(root / path, text, str(path))
        stdout_console.print(f"{path}: {'written' if write else 'differs'}", markup=False)
    if outdated and not write:
        raise SlipwayError("The files above differ from this version of the kit's.", "Run: slipway schema --write")
    if not outdated:
        stdout_console.print("All files are up to date.", markup=False)


def find_outdated_files(root: Path) -> dict[Path, str]:
    """Returns the generated text of each file below `root` that is missing or differs.

    Includes the table of docs only if the project has its folder. Raises `SlipwayError`.
    """
    from slipway.config.schemas import generate_project_files  # the command line starts faster without it

    outdated = {}
    for path, text in generate_project_files(root).items():
        file = root / path
        if not file.exists() or read_text_file(file, str(path)) != text:
            outdated[path] = text
    return outdated


def write_generated_file(file: Path, text: str, name: str) -> None:
    """Writes a file. Raises `SlipwayError` if that fails."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SlipwayError(
            f"{name} cannot be written: {error.strerror or error}.", f"Check its permissions: ls -ld {file}"
        ) from None
