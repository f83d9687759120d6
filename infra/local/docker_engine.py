"""The Docker engine: one that answers, else, as root on Debian or Ubuntu, Debian's own."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TextIO

from infra.errors import SlipwayError
from infra.local.paths import cache_dir, run_dir
from infra.local.progress import console, run, step

PACKAGES = ["docker.io", "iptables"]
DEBIAN_CLIENT = Path("/usr/bin/docker")
START_SECONDS = 60
STOP_SECONDS = 30


@dataclass(frozen=True)
class DockerEngine:
    """An engine that answers."""

    client: Path
    """A `docker` that can build with BuildKit."""
    version: str
    bridge_address: str
    """This machine's address on Docker's default bridge: how a container reaches it."""
    started_by_us: bool


def ensure_docker() -> DockerEngine:
    """Return an engine that answers; where none does, install and start Debian's as root.

    Raises `SlipwayError` with the one thing to do where that is not possible.
    """
    _use()
    with (cache_dir() / "dockerd.start").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # of two that find no engine, the second finds the first one's
        if not answers():
            _start()
    client = buildkit_client()
    if client is None:
        raise SlipwayError(
            "`docker` cannot build with BuildKit: its buildx component is missing.",
            "Install it (Debian: apt-get install docker-buildx; else https://docs.docker.com/go/buildx/).",
        )
    return DockerEngine(
        client=client,
        version=_ask("version", "--format", "{{.Server.Version}}"),
        bridge_address=_bridge_address(),
        started_by_us=_our_pid() is not None,
    )


def answers() -> bool:
    """Whether a Docker engine answers this user."""
    client = shutil.which("docker")
    if not client:
        return False
    done = subprocess.run([client, "version", "--format", "{{.Server.Version}}"], capture_output=True)
    return done.returncode == 0


def stop_docker_if_ours() -> bool:
    """Stop the engine that `make up` started, unless somebody else uses it: a container runs, a command of ours works.

    Returns whether it was stopped.
    """
    pid = _our_pid()
    if pid is None:
        return False
    with _last_user() as last:  # until it has ended: who wants an engine meanwhile waits, and starts another
        if not last:
            console.print("  The Docker engine goes on: another command uses it.")
            return False
        if answers() and _ask("ps", "--quiet"):
            console.print("  The Docker engine goes on: it runs containers that are not this environment's.")
            return False
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        _pid_file().unlink(missing_ok=True)
    return True


_users: list[TextIO] = []
"""This process's share in the engine; the kernel lets go of it with the process."""


def _use() -> None:
    """Take a share: a build of another clone runs no container, and must not lose its engine."""
    if not _users:
        share = (cache_dir() / "dockerd.users").open("w")
        fcntl.flock(share, fcntl.LOCK_SH)
        _users.append(share)


@contextlib.contextmanager
def _last_user() -> Iterator[bool]:
    """Give the share back; whether it was the last one. If so nobody else gets one before the end."""
    while _users:
        _users.pop().close()
    with (cache_dir() / "dockerd.users").open("w") as share:
        try:
            fcntl.flock(share, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _pid_file() -> Path:
    """Beside the caches, for the engine is the machine's and not one clone's."""
    return cache_dir() / "dockerd.pid"


def _our_pid() -> int | None:
    try:
        pid = int(_pid_file().read_text())
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except (OSError, ValueError):
        return None
    return pid if name == "dockerd" else None


def _start() -> None:
    if os.environ.get("DOCKER_HOST"):
        raise SlipwayError(
            f"DOCKER_HOST is {os.environ['DOCKER_HOST']}, and no Docker engine answers there.",
            "Start that engine, or unset DOCKER_HOST.",
        )
    if os.geteuid() != 0:
        raise SlipwayError(
            "No Docker engine answers, and starting one takes root.",
            "Start Docker (sudo systemctl start docker) and see that `docker info` works for you"
            " (sudo usermod -aG docker $USER, then log in again); or run this as root.",
        )
    daemon = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin:/sbin")
    if not daemon or not DEBIAN_CLIENT.exists():
        _install()
        daemon = shutil.which("dockerd", path="/usr/sbin:/usr/bin:/usr/local/bin")
        if not daemon:
            raise SlipwayError("The package docker.io brought no dockerd.", "Install Docker by hand.")
    log = run_dir() / "log" / "dockerd.log"
    log.parent.mkdir(exist_ok=True)
    with step("Starting dockerd"), log.open("w") as out:
        process = subprocess.Popen(
            [daemon], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd="/"
        )
        deadline = time.monotonic() + START_SECONDS
        while not answers():
            if process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
                process.terminate()
                raise SlipwayError(f"dockerd does not come up. Its last lines:\n{tail}", f"All of it: {log}")
            time.sleep(0.2)
        _pid_file().write_text(str(process.pid))


def _install() -> None:
    if not shutil.which("apt-get"):
        raise SlipwayError(
            "There is no Docker engine here, and this is no Debian or Ubuntu where one could be installed.",
            "Install Docker: https://docs.docker.com/engine/install/",
        )
    apt_install(PACKAGES, "for there is no Docker engine")


def apt_install(packages: list[str], why: str) -> None:
    """Install Debian packages as root, and say so. A service that a package would start is not started."""
    log = run_dir() / "log" / "apt.log"
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    with step(f"Installing Debian's {', '.join(packages)}, {why}"):
        run(["apt-get", "update"], "apt-get update failed", log=log)
        run(
            ["apt-get", "install", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", *packages],
            f"Installing {', '.join(packages)} failed",
            log=log,
            env=environment,
        )


def buildkit_client() -> Path | None:
    """A client that builds with BuildKit: with the buildx component, or of a version that has it built in."""
    candidates = [Path(p) for p in (shutil.which("docker"), DEBIAN_CLIENT) if p and Path(p).exists()]
    for client in candidates:
        buildx = subprocess.run([client, "buildx", "version"], capture_output=True)
        version = subprocess.run([client, "--version"], capture_output=True, text=True).stdout
        major = int("".join(filter(str.isdigit, version.split("version ")[-1].split(".")[0])) or 0)
        if buildx.returncode == 0 or major < 23:  # 23 took BuildKit out of the client, into buildx
            return client
    return None


def _bridge_address() -> str:
    """The host's address on Docker's default network: what the network says, else its first address.

    An engine that has just made the network lists its subnet alone (seen with 20.10), and gives the host the first
    address of it; from its next start on it lists the gateway too.
    """
    for config in json.loads(_ask("network", "inspect", "bridge", "--format", "{{json .IPAM.Config}}")):
        address = config.get("Gateway") or str(next(ip_network(config["Subnet"]).hosts()))
        if ip_address(address).version == 4:
            return str(address)
    raise SlipwayError("Docker's default network `bridge` has no IPv4 address.", "docker network inspect bridge")


def _ask(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SlipwayError(f"`docker {' '.join(arguments)}` failed: {done.stderr.strip()}", "See `docker info`.")
    return done.stdout.strip()
