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

from slipway.config.errors import SlipwayError
from slipway.config.project import make_private_dir, run_dir
from slipway_local.process_end import wait_until_ended
from slipway_local.step_timer import console, run_command, step

DEBIAN_PACKAGES = ["docker.io", "iptables"]
DEBIAN_CLIENT = Path("/usr/bin/docker")
START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 30
ENGINE_DIR = Path("/run/slipway")
"""Folder of the pid file of the engine that `slipway up` started, and of the lock that its users share."""
MANAGED_SOCKET = "unix:///var/run/docker.sock"
ENGINE_VARIABLES = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
"""Variables that make `docker` use another engine than this machine's default one."""


@dataclass(frozen=True)
class DockerEngine:
    """An engine that answers."""

    client: Path
    """A `docker` that can build with BuildKit."""
    version: str
    bridge_address: str
    """This machine's address on Docker's default bridge: how a container reaches it."""
    is_managed: bool


def ensure_docker() -> DockerEngine:
    """Returns an engine that answers; where none does, installs and starts Debian's as root.

    Raises `SlipwayError` with the one thing to do where that is not possible.
    """
    acquire_engine_share()
    if not is_docker_running():
        _ensure_engine_may_be_started()
        make_private_dir(ENGINE_DIR)
        with (ENGINE_DIR / "dockerd.start").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)  # of two that find no engine, the second finds the first one's
            if not is_docker_running():
                _start_dockerd()
        acquire_engine_share()
    client = find_buildkit_client()
    if client is None:
        raise SlipwayError(
            "`docker` cannot build with BuildKit: its buildx component is missing.",
            "Install it (Debian: apt-get install docker-buildx; else https://docs.docker.com/go/buildx/).",
        )
    return DockerEngine(
        client=client,
        version=_docker_output("version", "--format", "{{.Server.Version}}"),
        bridge_address=_find_bridge_address(),
        is_managed=_managed_pid() is not None,
    )


def is_docker_running() -> bool:
    """Returns whether a Docker engine answers this user."""
    client = shutil.which("docker")
    if not client:
        return False
    done = subprocess.run([client, "version", "--format", "{{.Server.Version}}"], capture_output=True)
    return done.returncode == 0


def stop_managed_docker() -> bool:
    """Stops the engine that `slipway up` started, unless it is used: a container runs, or a command of a clone works.

    Returns whether it was stopped. One that does not answer is not stopped: what it runs cannot be seen.
    """
    pid = _managed_pid()
    if pid is None:
        return False
    with _exclusive_lock() as is_last_user:  # until it has ended: who wants an engine meanwhile waits, and starts one
        if not is_last_user:
            console.print("  The Docker engine keeps running: another command or another clone's local AWS uses it.")
            return False
        containers = _list_managed_containers()
        if containers is None:
            console.print(f"  The Docker engine (pid {pid}) does not answer, so it was not stopped: kill {pid}")
            return False
        if containers:
            console.print("  The Docker engine keeps running: it has containers of others.")
            return False
        os.kill(pid, signal.SIGTERM)
        wait_until_ended(pid, STOP_TIMEOUT_SECONDS)
        _pid_file().unlink(missing_ok=True)
    return True


def _list_managed_containers() -> list[str] | None:
    """Returns the ids of the managed engine's containers, whatever engine the shell names; None: it does not answer."""
    client = shutil.which("docker") or str(DEBIAN_CLIENT)
    environment = {name: value for name, value in os.environ.items() if name not in ENGINE_VARIABLES}
    command = [client, "--host", MANAGED_SOCKET, "ps", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    return done.stdout.split() if done.returncode == 0 else None


_shared_locks: list[TextIO] = []
"""This process's share in the engine; the kernel lets go of it with the process."""


def acquire_engine_share() -> None:
    """Keeps the engine running for as long as this process lives: a build of another clone runs no container.

    The lock is the machine's, whatever cache folder a clone has. Who cannot write there does without: an engine that
    another user started, who alone could stop it, is not to be kept by anybody.
    """
    if _shared_locks:
        return
    with contextlib.suppress(OSError):
        lock = _open_lock()
        fcntl.flock(lock, fcntl.LOCK_SH)
        _shared_locks.append(lock)


def _open_lock() -> TextIO:
    """Opens the lock of the engine's users. Raises `OSError` where this user may not."""
    make_private_dir(ENGINE_DIR)
    return (ENGINE_DIR / "dockerd.users").open("w")


@contextlib.contextmanager
def _exclusive_lock() -> Iterator[bool]:
    """Releases the share, and yields whether it was the last; then no other process gets one until the end."""
    while _shared_locks:
        _shared_locks.pop().close()
    with _open_lock() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _pid_file() -> Path:
    """Returns the pid file's path: the engine is the machine's, and not one clone's."""
    return ENGINE_DIR / "dockerd.pid"


def _managed_pid() -> int | None:
    try:
        pid = int(_pid_file().read_text())
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except (OSError, ValueError):
        return None
    return pid if name == "dockerd" else None


def _ensure_engine_may_be_started() -> None:
    """Raises `SlipwayError` where the shell names an engine, for another one is no replacement; or without root."""
    host = os.environ.get("DOCKER_HOST")
    context = os.environ.get("DOCKER_CONTEXT")
    if context and context != "default":  # docker prefers it to DOCKER_HOST
        raise SlipwayError(
            f"DOCKER_CONTEXT is {context}, and no Docker engine answers there.",
            "Start that engine, or unset DOCKER_CONTEXT (docker context ls shows which there are).",
        )
    if host:
        raise SlipwayError(
            f"DOCKER_HOST is {host}, and no Docker engine answers there.",
            "Start that engine, or unset DOCKER_HOST.",
        )
    current = _current_context()
    if current not in ("", "default"):
        raise SlipwayError(
            f"Docker's current context is {current}, and no Docker engine answers there.",
            "Start that engine, or: docker context use default",
        )
    if os.geteuid() != 0:
        raise SlipwayError(
            "No Docker engine answers, and starting one takes root.",
            "Start Docker (sudo systemctl start docker) and see that `docker info` works for you"
            " (sudo usermod -aG docker $USER, then log in again); or run this as root.",
        )


def _current_context() -> str:
    """Returns the context that `docker context use` has set; empty where there is no client."""
    client = shutil.which("docker")
    if not client:
        return ""
    return subprocess.run([client, "context", "show"], capture_output=True, text=True).stdout.strip()


def _start_dockerd() -> None:
    daemon = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin:/sbin")
    if not daemon or not DEBIAN_CLIENT.exists():
        _install_docker()
        daemon = shutil.which("dockerd", path="/usr/sbin:/usr/bin:/usr/local/bin")
        if not daemon:
            raise SlipwayError(
                "Debian's package docker.io is installed, and it has no dockerd.",
                "Install Docker: https://docs.docker.com/engine/install/",
            )
    log = run_dir() / "log" / "dockerd.log"
    log.parent.mkdir(exist_ok=True)
    with step("Starting dockerd"), log.open("w") as out:
        process = subprocess.Popen(
            [daemon], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd="/"
        )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not is_docker_running():
            if process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
                process.terminate()
                raise SlipwayError(f"dockerd does not come up. Its last lines:\n{tail}", f"All of it: {log}")
            time.sleep(0.2)
        _pid_file().write_text(str(process.pid))


def _install_docker() -> None:
    if not shutil.which("apt-get"):
        raise SlipwayError(
            "There is no Docker engine here, and this is no Debian or Ubuntu where one could be installed.",
            "Install Docker: https://docs.docker.com/engine/install/",
        )
    install_apt_packages(DEBIAN_PACKAGES, "for there is no Docker engine")


def install_apt_packages(packages: list[str], why: str) -> None:
    """Installs Debian packages as root, and say so. A service that a package would start is not started."""
    log = run_dir() / "log" / "apt.log"
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    with step(f"Installing Debian's {', '.join(packages)}, {why}"):
        run_command(["apt-get", "update"], "apt-get update failed", log=log)
        run_command(
            ["apt-get", "install", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", *packages],
            f"Installing {', '.join(packages)} failed",
            log=log,
            env=environment,
        )


def find_buildkit_client() -> Path | None:
    """Returns a client that builds with BuildKit: with the buildx component, or of a version that has it built in."""
    candidates = [Path(p) for p in (shutil.which("docker"), DEBIAN_CLIENT) if p and Path(p).exists()]
    for client in candidates:
        buildx = subprocess.run([client, "buildx", "version"], capture_output=True)
        version = subprocess.run([client, "--version"], capture_output=True, text=True).stdout
        major = int("".join(filter(str.isdigit, version.split("version ")[-1].split(".")[0])) or 0)
        if buildx.returncode == 0 or major < 23:  # 23 took BuildKit out of the client, into buildx
            return client
    return None


def _find_bridge_address() -> str:
    """Returns the host's address on Docker's default network: what the network says, else its first address.

    An engine that has just made the network lists its subnet alone (seen with 20.10), and gives the host the first
    address of it; from its next start on it lists the gateway too.
    """
    for config in json.loads(_docker_output("network", "inspect", "bridge", "--format", "{{json .IPAM.Config}}")):
        address = config.get("Gateway") or str(next(ip_network(config["Subnet"]).hosts()))
        if ip_address(address).version == 4:
            return str(address)
    raise SlipwayError("Docker's default network `bridge` has no IPv4 address.", "docker network inspect bridge")


def _docker_output(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SlipwayError(f"`docker {' '.join(arguments)}` failed: {done.stderr.strip()}", "See `docker info`.")
    return done.stdout.strip()
