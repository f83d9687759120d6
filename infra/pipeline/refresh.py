"""Building images anew: the digests that their bases have today, and a pull request with them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from infra import contract, pins
from infra.errors import SlipwayError
from infra.pipeline import github
from infra.settings import ROOT, Settings

BRANCH = "slipway/image-refresh"
TITLE = "Build the images anew"
ASK_SECONDS = 60
"""How long a registry may take to answer."""


@dataclass
class Refreshed:
    """What came of it."""

    day: str
    changed: dict[str, str] = field(default_factory=dict)
    """Image -> its new digest."""
    same: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)
    """Image -> why its registry did not tell; it keeps the digest that it had."""


def bases(root: Path = ROOT) -> list[str]:
    """The images that the stacks' images are built from; what a Dockerfile of the app's own names is its author's."""
    found = {*contract.MONITORING_IMAGES.values(), *contract.EXPORTER_IMAGES.values()}
    found |= {contract.GRAFANA_IMAGE, contract.COLLECTOR_IMAGE}
    for file in (root / "stacks").glob("Pulumi.*.yaml"):
        settings = Settings.from_files(file.name.split(".")[1], root)
        found |= {settings.base_image, f"postgres:{settings.database_version}-alpine"}
        found.add(f"redis:{settings.cache_version.partition('.')[0]}-alpine")
    return sorted(image for image in found if "@" not in image)


def refresh(images: Iterable[str], day: str, root: Path = ROOT, *, dry_run: bool = False) -> Refreshed:
    """Ask the registries, and write docker/pins.yaml; where none answers nothing is written."""
    before, done = pins.read(root), Refreshed(day)
    digests = dict(before.digests)
    for image in images:
        try:
            digest = digest_of(image)
        except SlipwayError as error:
            done.unknown[image] = error.message
            continue
        if digests.get(image) == digest:
            done.same.append(image)
        else:
            done.changed[image] = digests[image] = digest
    if not dry_run and (done.changed or done.same):
        _write(root / pins.FILE, day, digests)
    return done


def digest_of(image: str) -> str:
    """What the registry has under the image's tag: an index's digest, where there are several architectures."""
    ask = ["docker", "buildx", "imagetools", "inspect", image, "--format", "{{.Manifest.Digest}}"]
    try:
        done = subprocess.run(ask, capture_output=True, text=True, timeout=ASK_SECONDS)
    except FileNotFoundError:
        raise SlipwayError("There is no docker to ask registries with.", "slipway doctor") from None
    except subprocess.TimeoutExpired:
        raise SlipwayError(f"no answer in {ASK_SECONDS} s") from None
    found = done.stdout.strip()
    if done.returncode or not re.fullmatch(r"sha256:[0-9a-f]{64}", found):
        lines = done.stderr.strip().splitlines() or [found or f"exit code {done.returncode}"]
        raise SlipwayError(lines[-1])
    return found


def _write(file: Path, day: str, digests: dict[str, str]) -> None:
    comment = "".join(line for line in file.read_text().splitlines(keepends=True) if line.startswith("#"))
    text: str = yaml.safe_dump({"refreshed": day, "digests": dict(sorted(digests.items()))}, sort_keys=False)
    file.write_text(comment + text)


def open_pull_request(done: Refreshed, root: Path = ROOT) -> None:
    """Push the file on a branch of its own, and have one open pull request for it. Raises `SlipwayError` with git's
    or gh's words."""
    _git(root, "switch", "--quiet", "--force-create", BRANCH)
    _git(root, "add", str(pins.FILE))
    _git(root, "commit", "--quiet", "--message", f"{TITLE}: {done.day}")
    github.run("auth", "setup-git")
    _git(root, "push", "--quiet", "--force", "origin", BRANCH)
    said = ("--title", TITLE, "--body", text(done))
    if github.run("pr", "list", "--head", BRANCH, "--state", "open", "--json", "number", "--jq", ".[].number"):
        github.run("pr", "edit", BRANCH, *said)
    else:
        github.run("pr", "create", "--head", BRANCH, *said)


def text(done: Refreshed) -> str:
    """What the pull request says."""
    lines = [f"Merged, the next deploy builds every image anew, as of {done.day}.", ""]
    lines += [f"- `{image}` is now `{digest}`" for image, digest in done.changed.items()]
    lines += [f"- `{image}` is as it was" for image in done.same]
    lines += [f"- `{image}` could not be asked for: {why}" for image, why in done.unknown.items()]
    return "\n".join(lines)


def _git(root: Path, *arguments: str) -> None:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise SlipwayError(f"`git {' '.join(arguments)}` failed:\n{done.stderr.strip()}", "git status")
