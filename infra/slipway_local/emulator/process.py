"""Starting and stopping the emulator's process, by pid file."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from slipway.config.errors import SlipwayError
from slipway.config.project import project_root, run_dir
from slipway_local import env_filter
from slipway_local.emulator.cleanup import remove_docker_resources
from slipway_local.emulator.credentials_address import remove_network_if_unused
from slipway_local.paths import PACKAGE_PARENT, usage_file
from slipway_local.process_end import wait_until_ended

START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 60
UNRESPONSIVE_TIMEOUT_SECONDS = 30
"""How long a running emulator that does not answer is waited for: the machine may be busy."""


@dataclass(frozen=True)
class Emulator:
    """A running emulator."""

    pid: int
    port: int
    is_new: bool = False
    """Started just now, so that it holds nothing."""
    bridge: str = ""
    """This machine's address on Docker's default bridge, as passed at its start."""

    @property
    def endpoint(self) -> str:
        """Returns the value for AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """Its log file."""
        return run_dir() / "log" / "emulator.log"


def find_running_emulator() -> Emulator | None:
    """Returns this clone's emulator, if its process is there and answers; else None."""
    recorded = read_recorded_emulator()
    if recorded and is_responding(recorded):
        return recorded
    return None


def is_responding(recorded: Emulator) -> bool:
    """Returns whether it answers now."""
    try:
        http_get(recorded.port, "/_ministack/health")
    except (OSError, http.client.HTTPException):
        return False
    return True


def http_get(port: int, path: str) -> bytes:
    """Returns what the emulator has at a path of its own; no proxy of the shell is asked, for it is this very machine.

    Raises `OSError` or `http.client.HTTPException` where it does not answer with 200.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status != 200:
            raise http.client.HTTPException(f"{path}: HTTP status {answer.status}")
        return answer.read()
    finally:
        connection.close()


def start_emulator(port: int, bridge: str) -> Emulator:
    """Starts the emulator of this clone, unless it runs.

    Raises `SlipwayError` when the port is taken, naming who has it, when the emulator does not come up, and when one
    runs that cannot be used: it holds the whole environment, and is never stopped to make room for an empty one.
    """
    recorded = read_recorded_emulator()
    if recorded:
        return _wait_until_usable(recorded, port)
    _ensure_port_free(port, bridge)
    for former_port in {port, *_recorded_ports()}:
        remove_docker_resources(
            former_port, data=former_port != port
        )  # what a killed emulator left behind; its databases' data are taken over
    emulator = Emulator(0, port)
    emulator.log.parent.mkdir(exist_ok=True)
    environment = env_filter.filter_environment_without_proxies(os.environ) | {
        "PYTHONPATH": str(PACKAGE_PARENT),
        "SLIPWAY_RUN_DIR": str(run_dir()),
    }
    with emulator.log.open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "slipway_local.emulator", "--port", str(port), "--bridge", bridge],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=project_root(),
            env=environment,
        )
    _pid_file().write_text(f"{process.pid} {port}\n")
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not is_responding(emulator):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            tail = "\n".join(emulator.log.read_text(errors="replace").splitlines()[-10:])
            raise SlipwayError(f"The local AWS does not come up. Its last lines:\n{tail}", f"All of it: {emulator.log}")
        time.sleep(0.1)
    return Emulator(process.pid, port, is_new=True, bridge=bridge)


def _wait_until_usable(recorded: Emulator, port: int) -> Emulator:
    """Returns the running emulator once it answers. Raises `SlipwayError` for another port, or where it is silent."""
    ensure_same_port(recorded, port)
    deadline = time.monotonic() + UNRESPONSIVE_TIMEOUT_SECONDS
    while not is_responding(recorded):
        if read_recorded_emulator() is None:
            raise SlipwayError(f"The local AWS has just ended. Its log: {recorded.log}", "Try again: slipway up")
        if time.monotonic() > deadline:
            raise SlipwayError(
                f"The local AWS (pid {recorded.pid}) runs, but has not answered on port {port} for "
                f"{UNRESPONSIVE_TIMEOUT_SECONDS} s. "
                f"It holds the environment, so nothing was stopped or changed. Its log: {recorded.log}",
                f"Wait if the machine is busy; `kill -CONT {recorded.pid}` if it was suspended;"
                " `slipway down` removes it with all that it holds.",
            )
        time.sleep(0.5)
    return recorded


def ensure_same_port(recorded: Emulator, port: int) -> None:
    """Raises `SlipwayError` where another port is asked for than that of the emulator that runs."""
    if recorded.port != port:
        raise SlipwayError(
            f"This clone's local AWS runs on port {recorded.port}, and SLIPWAY_PORT asks for {port}.",
            f"unset SLIPWAY_PORT; or SLIPWAY_PORT={recorded.port} slipway down, which removes all that it holds.",
        )


def stop_emulator() -> None:
    """Stops this clone's emulator and removes what it made in Docker, a killed one's too. Does nothing without one."""
    recorded = read_recorded_emulator()
    if recorded:
        process = psutil.Process(recorded.pid)
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)  # a suspended one would not hear it
            if not wait_until_ended(recorded.pid, STOP_TIMEOUT_SECONDS):
                process.kill()
                if not wait_until_ended(recorded.pid, STOP_TIMEOUT_SECONDS):
                    raise psutil.TimeoutExpired(STOP_TIMEOUT_SECONDS, recorded.pid)
    for port in _recorded_ports():
        remove_docker_resources(port, data=True)
    remove_network_if_unused()
    usage_file().unlink(missing_ok=True)
    _pid_file().unlink(missing_ok=True)


def has_unstopped_emulator() -> bool:
    """Returns whether an emulator of this clone was started and not stopped by `stop`, be it alive or not."""
    return bool(_recorded_ports())


def _pid_file() -> Path:
    return run_dir() / "emulator.pid"


def read_recorded_emulator() -> Emulator | None:
    """Returns the emulator of the pid file, if that process is still it and no other that got its number."""
    try:
        pid, port = _read_pid_file()
        command = psutil.Process(pid).cmdline()
    except (OSError, ValueError, psutil.Error):
        return None
    if "slipway_local.emulator" not in command:
        return None
    bridge = command[command.index("--bridge") + 1] if "--bridge" in command else ""
    return Emulator(pid, port, bridge=bridge)


def _read_pid_file() -> tuple[int, int]:
    pid, port = _pid_file().read_text().split()
    return int(pid), int(port)


def _recorded_ports() -> list[int]:
    """Returns the port of the emulator that was started last, if it was not stopped since."""
    try:
        return [_read_pid_file()[1]]
    except (OSError, ValueError):
        return []


def _ensure_port_free(port: int, bridge: str) -> None:
    for address in ("127.0.0.1", bridge):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                raise SlipwayError(
                    f"The local AWS cannot listen on {address}:{port}: {error.strerror}{describe_port_holder(port)}.",
                    f"Stop that, or choose another port: SLIPWAY_PORT={port + 34} slipway up",
                ) from None


def describe_port_holder(port: int) -> str:
    """Returns the process that listens on a port, as the end of a sentence; empty if there is none or it is unknown."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                process = psutil.Process(connection.pid)
                where = process.environ().get("SLIPWAY_RUN_DIR")
                owner = f", the local AWS of {where}" if where else ""
                return f", by pid {process.pid} ({process.name()}{owner})"
    return ""
