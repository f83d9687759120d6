"""What this machine needs for `make up`, checked without installing or starting anything."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

import psutil

from infra.local import docker_engine
from infra.local.emulator import process as emulator
from infra.local.paths import cache_dir
from infra.local.session import emulator_port
from infra.local.toolchain import VERSION, cached_pulumi, path_pulumi

DISK_GB = 5
MEMORY_GB = 3
GB = 1024**3


@dataclass(frozen=True)
class Check:
    """One thing that is needed."""

    name: str
    ok: bool
    found: str
    fix: str
    """The command that mends it."""


def checks() -> list[Check]:
    """Every check, in the order in which `make up` needs the things."""
    return [_docker(), _buildkit(), _pulumi(), _port(), _disk(), _memory()]


def _docker() -> Check:
    ok = docker_engine.answers()
    fix = "make up (installs and starts Debian's docker.io)" if os.geteuid() == 0 else "sudo systemctl start docker"
    return Check("Docker engine", ok, "answers" if ok else "none answers", fix)


def _buildkit() -> Check:
    client = docker_engine.buildkit_client()
    return Check("docker with BuildKit", client is not None, str(client or "none"), "apt-get install docker-buildx")


def _pulumi() -> Check:
    path, version = path_pulumi()
    if path:
        return Check("pulumi", True, f"{path} {version}", "")
    cached = cached_pulumi()
    have = f" ({version} on PATH is older)" if version else ""
    return Check(
        f"pulumi {VERSION}{have}", cached is not None, str(cached or "none"), "make up (downloads or builds it)"
    )


def _port() -> Check:
    port = emulator_port()
    if emulator.running():
        return Check(f"port {port}", True, "the local AWS of this clone listens there", "")
    holder = emulator.holder(port)
    return Check(f"port {port}", not holder, holder.lstrip(", ") or "free", f"SLIPWAY_PORT={port + 34} make up")


def _disk() -> Check:
    free = shutil.disk_usage(cache_dir()).free / GB
    return Check(f"{DISK_GB} GB of disk", free >= DISK_GB, f"{free:.0f} GB free", "docker system prune")


def _memory() -> Check:
    free = psutil.virtual_memory().available / GB
    return Check(f"{MEMORY_GB} GB of memory", free >= MEMORY_GB, f"{free:.0f} GB available", "close something large")
