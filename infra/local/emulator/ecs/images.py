"""The images of a task: pulled where this machine has none, and known by digest."""

from __future__ import annotations

from typing import Any

import docker.errors

from infra.local.emulator import host
from infra.local.emulator.ecs.failures import StartFailure


def ensure(image: str) -> str:
    """Have an image here; its digest, as DescribeTasks shows it.

    Raises `StartFailure` with CannotPullContainerError where no registry gives it.
    """
    try:
        found = host.client().images.get(image)
    except docker.errors.ImageNotFound:
        found = _pull(image)
    digests = [digest.partition("@")[2] for digest in found.attrs.get("RepoDigests") or []]
    given = image.partition("@")[2]
    return str(given or (digests[0] if digests else found.id))


def _pull(image: str) -> Any:
    try:
        name, _, digest = image.partition("@")
        if digest:
            return host.client().images.pull(name, tag=digest)
        return host.client().images.pull(image if ":" in image.rsplit("/", 1)[-1] else f"{image}:latest")
    except docker.errors.APIError as error:
        raise StartFailure(f"CannotPullContainerError: {error.explanation}") from None
