"""Checks what `slipway up` needs on this machine, without installing or starting anything."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

import psutil

from slipway_local import docker_engine
from slipway_local.emulator import process as emulator
from slipway_local.paths import cache_dir
from slipway_local.session import emulator_port
from slipway_local.toolchain import PULUMI_VERSION, find_cached_pulumi, find_pulumi_on_path

MIN_DISK_GB = 5
MIN_MEMORY_GB = 3
GB = 1024**3


@dataclass(frozen=True)
class Check:
    """One thing that is needed."""

    name: str
    is_ok: bool
    actual: str
    fix: str
    """The command that fixes it."""


def run_checks() -> list[Check]:
    """Every check, in the order in which `slipway up` needs the things."""
    return [_check_docker(), _check_buildkit(), _check_pulumi(), _check_port(), _check_disk(), _check_memory()]


def _check_docker() -> Check:
    ok = docker_engine.is_docker_running()
    fix = "slipway up (installs and starts Debian's docker.io)" if os.geteuid() == 0 else "sudo systemctl start docker"
    return Check("Docker engine", ok, "answers" if ok else "none answers", fix)


def _check_buildkit() -> Check:
    client = docker_engine.find_buildkit_client()
    return Check("docker with BuildKit", client is not None, str(client or "none"), "apt-get install docker-buildx")


def _check_pulumi() -> Check:
    path, version = find_pulumi_on_path()
    if path:
        return Check("pulumi", True, f"{path} {version}", "")
    cached = find_cached_pulumi()
    have = f" ({version} on PATH is older)" if version else ""
    return Check(
        f"pulumi {PULUMI_VERSION}{have}",
        cached is not None,
        str(cached or "none"),
        "slipway up (downloads or builds it)",
    )


def _check_port() -> Check:
    port = emulator_port()
    if emulator.find_running_emulator():
        return Check(f"port {port}", True, "the local AWS of this clone listens there", "")
    holder = emulator.describe_port_holder(port)
    return Check(f"port {port}", not holder, holder.lstrip(", ") or "free", f"SLIPWAY_PORT={port + 34} slipway up")


def _check_disk() -> Check:
    free = shutil.disk_usage(cache_dir()).free / GB
    return Check(f"{MIN_DISK_GB} GB of disk", free >= MIN_DISK_GB, f"{free:.0f} GB free", "docker system prune")


def _check_memory() -> Check:
    free = psutil.virtual_memory().available / GB
    return Check(
        f"{MIN_MEMORY_GB} GB of memory", free >= MIN_MEMORY_GB, f"{free:.0f} GB available", "ps aux --sort=-rss | head"
    )
