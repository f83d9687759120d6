"""Renders the files that init writes, compares them with existing ones, and writes missing ones."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from slipway.config.errors import SlipwayError
from slipway.config.project import packaged_path

State = Literal["new", "same", "differs", "adds lines"]

PULUMI = """\
name: {name}
description: {title} on AWS, from the network to the running app
runtime:
  name: python
  options:
    toolchain: uv # finds infra/uv.lock, and keeps the deployment's packages in infra/.venv
# A failed hook fails the update since 3.238; versions below this one were never tested.
requiredPulumiVersion: ">=3.245.0"
main: infra
stackConfigDir: stacks
"""
MAIN = '''\
"""Deploys what stacks/app.yaml describes."""

import slipway

slipway.deploy()
'''
GIT_IGNORED = (".slipway/", ".venv/", ".env")
DOCKER_IGNORED = (
    ".git",
    ".github",
    ".slipway",
    "**/.venv",
    "**/.env",
    "**/.env.*",
    "**/__pycache__",
    "**/*.pyc",
    "**/.pytest_cache",
    "**/.mypy_cache",
    "**/.ruff_cache",
    "**/node_modules",
)
DEPLOYMENT = ("infra", "stacks", "Pulumi.yaml")
"""Deployment files outside the app's image: a change of them does not rebuild it."""
WORKFLOWS = ("ci.yml", "deploy.yml", "preview.yml", "reap.yml", "drift.yml")


@dataclass(frozen=True)
class PlannedFile:
    """A file that init would write."""

    path: PurePosixPath
    content: bytes
    lines_only: bool = False
    """Whether init adds missing lines to an existing file; all others stay unchanged."""

    @property
    def text(self) -> str:
        """The content as text."""
        return _text(self.content)


@dataclass(frozen=True)
class FileResult:
    """The result, or the planned result, of a file."""

    file: PlannedFile
    state: State
    diff: str = ""
    """Diff from the existing file to init's; empty if they are equal."""


def fixed_files(
    name: str, title: str, *, context: PurePosixPath, has_dockerignore: bool, left_out: tuple[str, ...] = ()
) -> list[PlannedFile]:
    """Returns the files that depend on little: Pulumi.yaml, the program, .gitignore and .dockerignore.

    `left_out`: more paths to exclude from the image.
    """
    planned = [
        planned_text("Pulumi.yaml", PULUMI.format(name=name, title=title)),
        planned_text("infra/__main__.py", MAIN),
        PlannedFile(PurePosixPath(".gitignore"), _lines(GIT_IGNORED), lines_only=True),
    ]
    if not has_dockerignore:
        ignored = DOCKER_IGNORED + (DEPLOYMENT if context == PurePosixPath() else ()) + left_out
        planned.append(PlannedFile(context / ".dockerignore", _lines(ignored)))
    return planned


def workflow_files() -> list[PlannedFile]:
    """Returns the GitHub Actions workflows."""
    folder = packaged_path("workflows")
    return [planned_text(f".github/workflows/{name}", (folder / name).read_text("utf-8")) for name in WORKFLOWS]


def planned_text(path: str, text: str) -> PlannedFile:
    """Returns a planned file with this text."""
    return PlannedFile(PurePosixPath(path), text.encode())


def compare(root: Path, planned: list[PlannedFile]) -> list[FileResult]:
    """Compares each file with the existing one; changes nothing."""
    return [_compare(root, file) for file in planned]


def _compare(root: Path, file: PlannedFile) -> FileResult:
    path = root / file.path
    if not path.exists() and not path.is_symlink():
        return FileResult(file, "new")
    try:
        current = path.read_bytes() if path.is_file() else b""
    except OSError as error:
        raise SlipwayError(
            f"{file.path} cannot be read: {error.strerror}", "Make it readable, then run init again."
        ) from None
    if file.lines_only:
        missing = missing_lines(_text(current), file.text)
        diff = "".join(f"+{line}\n" for line in missing)
        return FileResult(file, "adds lines" if missing else "same", diff)
    if current == file.content:
        return FileResult(file, "same")
    return FileResult(file, "differs", _diff(_text(current), file.text, str(file.path)))


def missing_lines(current: str, planned: str) -> list[str]:
    """Returns the missing lines of a .gitignore; `.venv`, `.venv/` and `/.venv` count as equal."""
    current_lines = {line.strip().strip("/") for line in current.splitlines()}
    return [line for line in planned.splitlines() if line.strip("/") not in current_lines]


def _diff(current: str, planned: str, name: str) -> str:
    lines = difflib.unified_diff(
        current.splitlines(), planned.splitlines(), f"{name} (yours)", f"{name} (init would write)", lineterm=""
    )
    return "".join(f"{line}\n" for line in lines)


def write(root: Path, results: list[FileResult]) -> list[PurePosixPath]:
    """Writes new files, and adds missing lines where allowed; returns the paths. Overwrites nothing.

    Raises:
        SlipwayError: a file cannot be written; those before it are written.
    """
    written: list[PurePosixPath] = []
    for result in results:
        path = root / result.file.path
        try:
            if result.state == "new":
                _refuse_links_that_lead_out(root, path)
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as stream:  # fails if another process created it since
                    stream.write(result.file.content)
            elif result.state == "adds lines":
                current = path.read_bytes()
                joint = b"" if not current or current.endswith(b"\n") else b"\n"
                lines = missing_lines(_text(current), result.file.text)
                with path.open("ab") as stream:
                    stream.write(joint + _lines(tuple(lines)))
            else:
                continue
        except OSError as error:
            names = ", ".join(map(str, written)) or "nothing"
            raise SlipwayError(
                f"{result.file.path} cannot be written: {error.strerror}. Written before it: {names}",
                "Correct that, then: slipway init --missing",
            ) from None
        written.append(result.file.path)
    return written


def _refuse_links_that_lead_out(root: Path, path: Path) -> None:
    if not path.parent.resolve().is_relative_to(root.resolve()):
        raise SlipwayError(
            f"{path.relative_to(root).parent} is a link out of the repository: init does not write there.",
            "Make it a folder of the repository.",
        )


def _lines(lines: tuple[str, ...]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")
