"""Reads a project's package manager, packages and Python version."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from slipway.cli.init.sources import SourceTree

KIT_PYTHON = "3.11"
"""Python version of the kit's base image, the default."""
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
REQUIREMENT_FOLDERS = ("requirements", "reqs")


@dataclass(frozen=True)
class Packages:
    """The packages of a project."""

    manager: str
    """uv, poetry, requirements, pyproject, pipenv, pdm, setup or none."""
    file: str
    """The file that lists the packages, relative to the repository; empty for none."""
    names: frozenset[str]
    """Names of run-time packages, normalized as on PyPI."""
    extras: frozenset[str]
    """Required extras, such as `celery[sqs]`."""
    only_for_development: frozenset[str]
    """Packages of development groups only."""
    problem: str = ""
    """Why the kit's own image cannot install them, and the fix."""

    def any_of(self, *names: str) -> str:
        """Returns the first of these packages that is installed; empty for none."""
        return next((name for name in names if name in self.names), "")


def read_packages(tree: SourceTree, folder: PurePosixPath) -> Packages:
    """Returns the packages of the project in a folder."""
    project = _toml(tree, folder / "pyproject.toml")
    requirements = _requirement_files(tree, folder)
    runtime, development = _of_pyproject(project)
    for path in requirements:
        lines = _lines(tree, path)
        if re.search(r"dev|test|lint|doc", path.stem):
            development += lines
        else:
            runtime += lines
    pipfile = _toml(tree, folder / "Pipfile")
    runtime += [str(name) for name in _table(pipfile, "packages")]
    runtime += re.findall(r"""["']([A-Za-z][\w.\[\],-]*)\s*(?:[<>=~!].*?)?["']""", tree.text(folder / "setup.py"))
    names, extras = _parsed(runtime)
    manager, file = _manager(tree, folder, project, requirements)
    return Packages(
        manager,
        file,
        frozenset(names),
        frozenset(extras),
        frozenset(_parsed(development)[0] - names),
        _problem(tree, folder, manager, file),
    )


def _manager(
    tree: SourceTree, folder: PurePosixPath, project: dict[str, Any], requirements: list[PurePosixPath]
) -> tuple[str, str]:
    for manager, name in (("uv", "uv.lock"), ("poetry", "poetry.lock"), ("pipenv", "Pipfile"), ("pdm", "pdm.lock")):
        if tree.has(folder / name):
            return manager, str(folder / name)
    if requirements:
        return "requirements", str(requirements[0])
    if "project" in project:
        return "pyproject", str(folder / "pyproject.toml")
    if _table(project, "tool", "poetry"):
        return "poetry", str(folder / "pyproject.toml")
    if "setuptools" in tree.text(folder / "setup.py"):
        return "setup", str(folder / "setup.py")
    return "none", ""


def _problem(tree: SourceTree, folder: PurePosixPath, manager: str, file: str) -> str:
    place = folder / "requirements.txt"
    if manager == "none":
        return f"No file lists the packages to install: list them in {place}"
    if manager == "poetry" and not file.endswith("poetry.lock"):
        return f"The image installs from {folder / 'poetry.lock'}, which is missing: poetry lock"
    if manager == "pyproject" and any(tree.has(parent / "uv.lock") for parent in folder.parents):
        return f"The image does not see the workspace's uv.lock: uv export --no-emit-workspace -o {place}, in {folder}"
    if manager == "pipenv":
        return f"The image installs no Pipfile: pipenv requirements > {place}"
    if manager == "pdm" and "project" not in _toml(tree, folder / "pyproject.toml"):
        return f"The image installs no pdm.lock: pdm export -o {place}"
    if manager == "setup":
        return f"The image installs no setup.py: list the packages in {place}"
    if manager == "requirements" and file != str(place):
        return f"The image installs {place}, and yours is {file}: uv pip compile {file} -o {place}"
    if manager == "requirements" and re.search(r"^\s*(-r|-c|-e|--requirement|--constraint)\b", tree.text(file), re.M):
        return f"{file} refers to other files, which the image does not have when it installs: uv pip compile {file}"
    return ""


def _requirement_files(tree: SourceTree, folder: PurePosixPath) -> list[PurePosixPath]:
    paths = [path for path in tree.files if path.suffix == ".txt" and path.parent == folder]
    own = [path for path in paths if re.match(r"requirements?\b", path.name)]
    below = [path for path in tree.files if path.suffix == ".txt" and path.parent.parent == folder]
    own += [path for path in below if path.parent.name in REQUIREMENT_FOLDERS]
    usual = ("requirements.txt", "prod.txt", "production.txt", "base.txt")
    place = {name: number for number, name in enumerate(usual)}
    return sorted(own, key=lambda path: (place.get(path.name, len(usual)), path))


def _lines(tree: SourceTree, path: PurePosixPath) -> list[str]:
    lines = (line.partition(" #")[0].partition(" --hash")[0].strip(" \\") for line in tree.text(path).splitlines())
    return [line for line in lines if line and not line.startswith(("#", "-"))]


def _toml(tree: SourceTree, path: PurePosixPath) -> dict[str, Any]:
    try:
        return tomllib.loads(tree.text(path))
    except tomllib.TOMLDecodeError as error:
        tree.problems.append(f"{path} is not valid TOML: {error}")
        return {}


def _table(data: dict[str, Any], *keys: str) -> dict[str, Any]:
    for key in keys:
        inner = data.get(key)
        data = inner if isinstance(inner, dict) else {}
    return data


def _of_pyproject(project: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Returns the run-time requirements, and those of development groups."""
    runtime = [str(item) for item in _table(project, "project").get("dependencies", [])]
    development = [str(item) for group in _table(project, "dependency-groups").values() for item in group]
    poetry = _table(project, "tool", "poetry")
    for name, requirement in _table(poetry, "dependencies").items():
        if name != "python":
            extras = ",".join(requirement.get("extras", [])) if isinstance(requirement, dict) else ""
            runtime.append(f"{name}[{extras}]" if extras else str(name))
    for group in _table(poetry, "group").values():
        development += list(_table(group, "dependencies")) if isinstance(group, dict) else []
    development += list(_table(poetry, "dev-dependencies"))
    return runtime, development


def _parsed(requirements: list[str]) -> tuple[set[str], set[str]]:
    names: set[str] = set()
    extras: set[str] = set()
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        name = canonicalize_name(requirement.name)
        names.add(name)
        extras |= {f"{name}[{extra}]" for extra in requirement.extras}
    return names, extras


def python_version(tree: SourceTree, folder: PurePosixPath, dockerfile: str = "") -> str:
    """Returns the project's minor version of Python, as `3.13`; the kit's default if it fits or none is specified.

    A pinned version (.python-version, .tool-versions, runtime.txt, a Dockerfile's base) takes precedence over a range.
    """
    pinned = [(folder / name, pattern) for name, pattern in PIN_FILES.items()]
    pinned += [(PurePosixPath(name), pattern) for name, pattern in PIN_FILES.items()]
    for path, pattern in pinned:
        match = re.search(pattern, tree.text(path), re.MULTILINE)
        if match:
            return match[1]
    match = re.search(r"^FROM\s+(?:--\S+\s+)?\S*python:?[\w./-]*?(3\.\d+)", dockerfile, re.MULTILINE | re.IGNORECASE)
    if match:
        return match[1]
    project = _toml(tree, folder / "pyproject.toml")
    allowed = _table(project, "project").get("requires-python")
    poetry = _table(project, "tool", "poetry", "dependencies").get("python")
    return _lowest(str(allowed or _from_poetry(str(poetry or ""))))


PIN_FILES = {
    ".python-version": r"^(?:cpython-)?(3\.\d+)",
    ".tool-versions": r"^python\s+(3\.\d+)",
    "runtime.txt": r"^python-(3\.\d+)",
}


def _from_poetry(text: str) -> str:
    """Converts a caret or tilde range into a specifier: `^3.12` is `>=3.12,<4`."""
    caret = re.match(r"^\^(\d+)\.(\d+)", text)
    if caret:
        return f">={caret[1]}.{caret[2]},<{int(caret[1]) + 1}"
    tilde = re.match(r"^~(\d+\.\d+)", text)
    return f"=={tilde[1]}.*" if tilde else text


def _lowest(specifier: str) -> str:
    try:
        allowed = SpecifierSet(specifier)
    except InvalidSpecifier:
        return KIT_PYTHON
    # Tries a patch version, because `>=3.11.4` allows Python 3.11.
    fitting = [version for version in PYTHONS if any(f"{version}.{patch}" in allowed for patch in (0, 9, 99))]
    return KIT_PYTHON if KIT_PYTHON in fitting or not fitting else fitting[0]
