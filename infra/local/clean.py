"""`slipway clean`: what `slipway down` keeps as a cache."""

from __future__ import annotations

import shutil
import subprocess

from infra.errors import SlipwayError
from infra.local.base_images import remove_stand_ins
from infra.local.docker_engine import ensure_docker, stop_docker_if_ours
from infra.local.emulator import process as emulator
from infra.local.paths import cache_dir, project, run_dir
from infra.local.progress import console, step

CACHES = ("pulumi", "debootstrap", "scratch", "layers", "mypy")


def clean() -> None:
    """Remove images and downloads; everything comes back with the next `make up`."""
    if emulator.running():
        raise SlipwayError("The local environment is running.", "make down")
    if shutil.which("docker"):
        with step("Removing images"):
            ensure_docker()
            removed = [*_built_images(), *remove_stand_ins()]
            stop_docker_if_ours()
        console.print(f"  {len(removed)} images: {', '.join(removed) or 'there were none'}")
    for name in CACHES:
        shutil.rmtree(cache_dir() / name, ignore_errors=True)
    shutil.rmtree(run_dir(), ignore_errors=True)
    console.print(
        f"Removed {run_dir()} and what was in {cache_dir()}. BuildKit's own cache: docker builder prune", markup=False
    )


def _built_images() -> list[str]:
    """The app's images: they are named after the local registry, and nothing else is."""
    listed = subprocess.run(
        [
            "docker",
            "images",
            "--format",
            "{{.Repository}}:{{.Tag}}",
            "--filter",
            f"reference=localhost:*/{project()}-*",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for name in listed:
        subprocess.run(["docker", "image", "rm", "--force", name], check=True, capture_output=True)
    return listed
