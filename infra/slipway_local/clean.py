"""`slipway clean`: what `slipway down` keeps as a cache."""

from __future__ import annotations

import shutil
import subprocess

from slipway.config.errors import SlipwayError
from slipway.config.project import project_name, run_dir
from slipway_local.base_images import remove_stand_ins
from slipway_local.docker_engine import ensure_docker, stop_managed_docker
from slipway_local.emulator import process as emulator
from slipway_local.ownership import current_owner, read_owner
from slipway_local.paths import cache_dir
from slipway_local.step_timer import console, step

CACHE_DIRS = ("pulumi", "debootstrap", "scratch", "layers", "mypy")


def remove_caches() -> None:
    """Removes images and downloads; everything comes back with the next `slipway up`."""
    if emulator.find_running_emulator():
        raise SlipwayError("The local environment is running: its caches are in use.", "slipway down")
    if shutil.which("docker"):
        with step("Removing images"):
            ensure_docker()
            removed = [*_remove_built_images(), *remove_stand_ins()]
            stop_managed_docker()
        console.print(f"  {len(removed)} images: {', '.join(removed) or 'there were none'}")
    for name in CACHE_DIRS:
        shutil.rmtree(cache_dir() / name, ignore_errors=True)
    shutil.rmtree(run_dir(), ignore_errors=True)
    console.print(
        f"Removed {run_dir()} and what was in {cache_dir()}. BuildKit's own cache: docker builder prune", markup=False
    )


def _remove_built_images() -> list[str]:
    """Returns the app's images: they are named after the local registry, and nothing else is."""
    image_names = subprocess.run(
        [
            "docker",
            "images",
            "--format",
            "{{.Repository}}:{{.Tag}}",
            "--filter",
            f"reference=localhost:*/{project_name()}-*",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    removed = [name for name in image_names if not _is_of_another_clone(name)]
    for name in removed:
        subprocess.run(["docker", "image", "rm", "--force", name], check=True, capture_output=True)
    return removed


def _is_of_another_clone(image: str) -> bool:
    """Returns whether another clone's local AWS runs on the port that an image's name begins with."""
    port = image.removeprefix("localhost:").partition("/")[0]
    owner = read_owner(int(port)) if port.isdigit() else None
    return owner is not None and owner != current_owner()
