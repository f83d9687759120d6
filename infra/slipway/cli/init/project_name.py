"""Derives the Pulumi project's name, the prefix of all names on AWS."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path, PurePosixPath

from slipway.cli.init.sources import SourceTree

LONGEST = 18
"""Characters: `<project>-staging` must not exceed the 26 that AWS's name limits allow."""
SAYS_NOTHING = {
    "app",
    "backend",
    "api",
    "server",
    "service",
    "src",
    "main",
    "project",
    "fastapi",
    "web",
    "code",
    "repo",
}
REFUSED_FIRST_WORDS = {"preview", "pg", "internal", "sg"}
"""Prefixes that Postgres, AWS or the kit reserve."""


def project_name(tree: SourceTree, folder: PurePosixPath) -> str:
    """Returns the first usable name: the package's, the repository's on GitHub, the folder's."""
    candidates = [_of_package(tree, folder), _of_remote(tree.root), folder.name, tree.root.resolve().name]
    names = [name for name in map(slug, candidates) if name]
    return next((name for name in names if name not in SAYS_NOTHING), names[0] if names else "app")


def slug(text: str) -> str:
    """Converts a text into a project name: lowercase letters, digits, single hyphens; may be empty."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    name = re.sub(r"^[0-9-]+", "", name)
    if name.partition("-")[0] in REFUSED_FIRST_WORDS:
        name = f"app-{name}"
    if len(name) <= LONGEST:
        return name
    words = name[: LONGEST + 1].rpartition("-")[0]  # cuts at a word if enough is left
    return words if len(words) >= LONGEST // 3 and words not in SAYS_NOTHING else name[:LONGEST].rstrip("-")


def name_problem(name: str) -> str:
    """Returns why `--name` is invalid; empty if it is valid."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        return f"--name {name!r}: use lowercase letters, digits and single hyphens, beginning with a letter"
    if len(name) > LONGEST:
        return f"--name {name!r} has {len(name)} characters: AWS's name limits allow {LONGEST}"
    if name.partition("-")[0] in REFUSED_FIRST_WORDS:
        return f"--name {name!r}: Postgres, AWS or the kit reserves names with this prefix"
    return ""


def _of_package(tree: SourceTree, folder: PurePosixPath) -> str:
    try:
        data = tomllib.loads(tree.text(folder / "pyproject.toml"))
    except tomllib.TOMLDecodeError:
        return ""
    poetry = data.get("tool", {}).get("poetry", {})
    return str(data.get("project", {}).get("name") or poetry.get("name") or "")


def _of_remote(root: Path) -> str:
    """Returns the repository's name from the URL of git's remote `origin`."""
    try:
        text = (root / ".git" / "config").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    match = re.search(r"^\s*url\s*=\s*\S*?[/:]([^/\s:]+?)(?:\.git)?/?\s*$", text, re.MULTILINE)
    return match[1] if match else ""
