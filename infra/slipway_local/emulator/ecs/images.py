"""The images of a task: pulled where this machine has none, and known by digest."""

from __future__ import annotations

from typing import Any

import docker.errors
from ministack.services import ecr

from slipway_local.emulator import docker_host
from slipway_local.emulator.ecs.failures import StartFailure
from slipway_local.emulator.labels import gateway_port


def ensure_image(image: str) -> str:
    """Ensures that an image exists locally; returns its digest as DescribeTasks shows it.

    Raises `StartFailure` with CannotPullContainerError if no registry has it: a Fargate task always pulls its
    images, so Docker's cached copy does not replace one in the local registry.
    """
    if not _is_in_local_registry(image):
        raise StartFailure(f"CannotPullContainerError: {image}: not found")
    try:
        found = docker_host.docker_client().images.get(image)
    except docker.errors.ImageNotFound:
        found = _pull_image(image)
    digests = [digest.partition("@")[2] for digest in found.attrs.get("RepoDigests") or []]
    given = image.partition("@")[2]
    return str(given or (digests[0] if digests else found.id))


def _is_in_local_registry(image: str) -> bool:
    """Returns whether the local registry serves an image; true for one of any other registry."""
    registry, _, path = image.partition("/")
    if registry != f"localhost:{gateway_port()}":
        return True
    name, _, digest = path.partition("@")
    repository, _, tag = name.partition(":")
    return bool(ecr._resolve_manifest(repository, digest or tag or "latest")[0])


def _pull_image(image: str) -> Any:
    try:
        name, _, digest = image.partition("@")
        if digest:
            return docker_host.docker_client().images.pull(name, tag=digest)
        return docker_host.docker_client().images.pull(image if ":" in image.rsplit("/", 1)[-1] else f"{image}:latest")
    except docker.errors.APIError as error:
        raise StartFailure(f"CannotPullContainerError: {error.explanation}") from None
