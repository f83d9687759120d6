"""`slipway image refresh`: pins base images to their current digests, and opens a pull request with them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from slipway.config import constants, image_digests
from slipway.config.errors import SlipwayError
from slipway.config.project import project_root
from slipway.config.settings import Settings
from slipway.pipeline import github

BRANCH = "slipway/image-refresh"
TITLE = "Rebuild the images on current base images"
COMMENT = "# Base images and the digests that images are built from; `slipway image refresh` writes it.\n"
"""Comment of a new file; an existing file keeps its own."""
MAY_NOT_OPEN = (
    "The branch is pushed. Allow GitHub Actions to create and approve pull requests: slipway pipeline setup, or the "
    "repository's settings, Actions, General"
)
REGISTRY_TIMEOUT_SECONDS = 60
"""Time-out of a registry, in seconds."""


@dataclass
class RefreshResult:
    """The registries' answers."""

    day: str
    """ISO 8601; becomes part of each image's tag."""
    changed: dict[str, str] = field(default_factory=dict)
    """Image -> its new digest."""
    same: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)
    """Image -> why its registry did not answer; it keeps its digest."""


def list_base_images(root: Path | None = None) -> list[str]:
    """Returns the base images of the kit's images in all stacks, without those of an app's own Dockerfile."""
    root = root or project_root()
    images = {*constants.MONITORING_IMAGES.values(), *constants.EXPORTER_IMAGES.values()}
    images |= {constants.GRAFANA_IMAGE, constants.COLLECTOR_IMAGE}
    for file in (root / "stacks").glob("Pulumi.*.yaml"):
        settings = Settings.from_files(file.name.split(".")[1], root)
        images |= {settings.base_image, f"postgres:{settings.database_version}-alpine"}
        images.add(f"redis:{settings.cache_version.partition('.')[0]}-alpine")
    return sorted(image for image in images if "@" not in image)


def refresh_digests(
    images: Iterable[str], day: str, root: Path | None = None, *, dry_run: bool = False
) -> RefreshResult:
    """Queries the registries, and writes docker/pins.yaml if any of them answers."""
    root = root or project_root()
    result = RefreshResult(day)
    digests = dict(image_digests.load_image_digests(root).digests)
    for image in images:
        try:
            digest = fetch_digest(image)
        except SlipwayError as error:
            result.unknown[image] = error.message
            continue
        if digests.get(image) == digest:
            result.same.append(image)
        else:
            result.changed[image] = digests[image] = digest
    if not dry_run and (result.changed or result.same):
        _write_digests(root / image_digests.IMAGE_DIGESTS_FILE, day, digests)
    return result


def fetch_digest(image: str) -> str:
    """Returns the digest of the image's tag: of the index, if there are several architectures.

    Raises `SlipwayError` with the reason if the registry does not return it.
    """
    command = ["docker", "buildx", "imagetools", "inspect", image, "--format", "{{.Manifest.Digest}}"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=REGISTRY_TIMEOUT_SECONDS)
    except FileNotFoundError:
        raise SlipwayError("docker is not installed, and it is needed to query registries.", "slipway doctor") from None
    except subprocess.TimeoutExpired:
        raise SlipwayError(
            f"The registry did not answer in {REGISTRY_TIMEOUT_SECONDS} s.", "Check the network and the proxy."
        ) from None
    digest = result.stdout.strip()
    if result.returncode or not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        lines = result.stderr.strip().splitlines() or [digest or f"exit code {result.returncode}"]
        raise SlipwayError(lines[-1])
    return digest


def _write_digests(file: Path, day: str, digests: dict[str, str]) -> None:
    comment = COMMENT
    if file.is_file():
        comment = "".join(line for line in file.read_text().splitlines(keepends=True) if line.startswith("#"))
    file.parent.mkdir(parents=True, exist_ok=True)
    text: str = yaml.safe_dump({"refreshed": day, "digests": dict(sorted(digests.items()))}, sort_keys=False)
    file.write_text(comment + text)


def open_pull_request(result: RefreshResult, root: Path | None = None) -> None:
    """Pushes the file on a branch, and opens a pull request for it, or updates the open one.

    Raises `SlipwayError` with git's or gh's error; if GitHub refuses the pull request, with the setting to change.
    """
    root = root or project_root()
    _git(root, "switch", "--quiet", "--force-create", BRANCH)
    _git(root, "add", str(image_digests.IMAGE_DIGESTS_FILE))
    _git(root, "commit", "--quiet", "--message", f"{TITLE}: {result.day}")
    github.run_gh("auth", "setup-git")
    _git(root, "push", "--quiet", "--force", "origin", BRANCH)
    said = ("--title", TITLE, "--body", format_pull_request_body(result))
    if github.run_gh("pr", "list", "--head", BRANCH, "--state", "open", "--json", "number", "--jq", ".[].number"):
        github.run_gh("pr", "edit", BRANCH, *said)
        return
    try:
        github.run_gh("pr", "create", "--head", BRANCH, *said)
    except SlipwayError as error:
        raise SlipwayError(error.message, MAY_NOT_OPEN if "not permitted" in error.message else error.fix) from None


def format_pull_request_body(result: RefreshResult) -> str:
    """Returns the text of the pull request, in Markdown."""
    lines = [f"After the merge, the next deployment rebuilds every image, as of {result.day}.", ""]
    lines += [f"- `{image}` is now `{digest}`" for image, digest in result.changed.items()]
    lines += [f"- `{image}` is unchanged" for image in result.same]
    lines += [f"- `{image}` could not be queried: {why}" for image, why in result.unknown.items()]
    return "\n".join(lines)


def _git(root: Path, *arguments: str) -> None:
    result = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    if result.returncode:
        raise SlipwayError(
            f"`git {' '.join(arguments)}` failed, so no pull request is opened:\n{result.stderr.strip()}", "git status"
        )
