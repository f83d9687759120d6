"""The versions of Python that the app's pyproject.toml allows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from slipway.config.errors import SlipwayError


def read_requires_python(source: Path) -> str:
    """Returns `requires-python` of the app in a folder, or Poetry's `python` in its place, as a specifier.

    It is empty where the app has no pyproject.toml, or says nothing there.

    Raises:
        SlipwayError: The file is no TOML, or the value no specifier.
    """
    path = source / "pyproject.toml"
    if not path.is_file():
        return ""
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8"))
        text = _find_requirement(project)
        SpecifierSet(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, InvalidSpecifier) as error:
        raise SlipwayError(f"{path}: requires-python cannot be read: {error}", "Correct that file.") from None
    return text


def _find_requirement(project: dict[str, Any]) -> str:
    stated = project.get("project", {}).get("requires-python")
    if stated:
        return str(stated)
    poetry = str(project.get("tool", {}).get("poetry", {}).get("dependencies", {}).get("python", ""))
    caret = re.fullmatch(r"\^(\d+)((?:\.\d+)*)", poetry)
    if caret:
        return f">={caret[1]}{caret[2]},<{int(caret[1]) + 1}"
    tilde = re.fullmatch(r"~(\d+\.\d+)(\.\d+)?", poetry)
    return f"~={tilde[1]}{tilde[2] or '.0'}" if tilde else poetry
