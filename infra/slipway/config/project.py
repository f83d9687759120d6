"""The user's project, found by its Pulumi.yaml, and the kit's own files that ship with the package."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from slipway.config.errors import SlipwayError
from slipway.config.text_files import read_yaml_mapping

PROJECT_FILE = "Pulumi.yaml"
_PACKAGED_FILES = Path(__file__).resolve().parents[1] / "data"
_CHECKOUT = Path(__file__).resolve().parents[3]


def project_root() -> Path:
    """Returns the folder of Pulumi.yaml: the working directory, or the nearest one above it that has the file.

    Raises `SlipwayError` where there is none.
    """
    return _find_project(Path.cwd())


@cache
def _find_project(folder: Path) -> Path:
    for candidate in (folder, *folder.parents):
        if (candidate / PROJECT_FILE).is_file():
            return candidate
    raise SlipwayError(
        f"There is no {PROJECT_FILE} in {folder} or above it.",
        "Change to your project's folder, or make one: slipway init",
    )


@cache
def _read_name(root: Path) -> str:
    return read_project_name(root)


def read_project_name(root: Path) -> str:
    """Returns the name of the Pulumi project in the folder `root`. Raises `SlipwayError` where its file has none."""
    name = read_yaml_mapping(root / PROJECT_FILE, PROJECT_FILE).get("name")
    if not name:
        raise SlipwayError(f"{PROJECT_FILE} has no name.", f"Add a line to {root / PROJECT_FILE}: name: my-app")
    return str(name)


def project_name() -> str:
    """Returns the Pulumi project's name, which the names of all resources begin with."""
    return _read_name(project_root())


def kit_path(name: str) -> Path:
    """Returns the path of a file or folder such as `docker/app`: the project's own, or the one that the kit ships.

    A checkout of the kit has them at its root, the wheel in `slipway/data`.
    """
    own = project_root() / name
    return own if own.exists() else packaged_path(name)


def packaged_path(name: str) -> Path:
    """Returns the kit's own file or folder, for the tools and base images of the local AWS."""
    packaged = _PACKAGED_FILES / name
    return packaged if packaged.exists() else _CHECKOUT / name


def run_dir() -> Path:
    """Returns the folder of this checkout's state that is not committed: logs, previews' stack files (mode 0700).

    It is `SLIPWAY_RUN_DIR` or `.slipway` in the project. Raises `SlipwayError` where it cannot be created.
    """
    return make_private_dir(Path(os.environ.get("SLIPWAY_RUN_DIR") or project_root() / ".slipway"))


def link_project(folder: Path) -> None:
    """Makes `folder` a Pulumi project with this project's program, so that the engine writes its stack files there."""
    root = project_root()
    (folder / "stacks").mkdir(parents=True, exist_ok=True)
    for name in ("infra", ".venv", "pyproject.toml"):
        if (root / name).exists() and not (folder / name).is_symlink():
            (folder / name).symlink_to(root / name)
    (folder / PROJECT_FILE).write_text((root / PROJECT_FILE).read_text(encoding="utf-8"), encoding="utf-8")


def make_private_dir(path: Path) -> Path:
    """Creates the folder with mode 0700 where it is missing, and returns it.

    Raises `SlipwayError` where that is not possible, as in a read-only checkout.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SlipwayError(
            f"The folder {path} cannot be created: {error.strerror or error}.",
            "Name another one that this user may write: export SLIPWAY_RUN_DIR=~/.local/state/slipway-my-app",
        ) from None
    return path
