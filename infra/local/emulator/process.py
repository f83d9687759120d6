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

from infra.errors import SlipwayError
from infra.local import shell
from infra.local.emulator.cleanup import remove_all
from infra.local.paths import ROOT, run_dir

START_SECONDS = 60
STOP_SECONDS = 60
PATIENCE_SECONDS = 30
"""How long a running emulator that does not answer is waited for: the machine may be busy."""


@dataclass(frozen=True)
class Emulator:
    """A running emulator."""

    pid: int
    port: int
    started_fresh: bool = False
    """Started just now, so that it holds nothing."""

    @property
    def endpoint(self) -> str:
        """What AWS_ENDPOINT_URL has to be."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """Its log file."""
        return run_dir() / "log" / "emulator.log"


def running() -> Emulator | None:
    """This clone's emulator, if its process is there and answers."""
    found = recorded()
    if found and answers(found):
        return found
    return None


def answers(found: Emulator) -> bool:
    """Whether it answers now."""
    try:
        get(found.port, "/_ministack/health")
    except (OSError, http.client.HTTPException):
        return False
    return True


def get(port: int, path: str) -> bytes:
    """What the emulator has at a path of its own. No proxy of the shell is asked: it is this very machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status != 200:
            raise http.client.HTTPException(f"{path}: HTTP status {answer.status}")
        return answer.read()
    finally:
        connection.close()


def start(port: int, bridge: str) -> Emulator:
    """Start the emulator of this clone, unless it runs.

    Raises `SlipwayError` when the port is taken, naming who has it, when the emulator does not come up, and when one
    runs that cannot be used: it holds the whole environment, and is never stopped to make room for an empty one.
    """
    found = recorded()
    if found:
        return _usable(found, port)
    _check_free(port, bridge)
    for left in {port, *_noted_port()}:
        remove_all(left, data=left != port)  # what a killed emulator left behind; its databases' data are taken over
    emulator = Emulator(0, port)
    emulator.log.parent.mkdir(exist_ok=True)
    environment = shell.without_proxies(os.environ) | {"PYTHONPATH": str(ROOT), "SLIPWAY_RUN_DIR": str(run_dir())}
    with emulator.log.open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.local.emulator", "--port", str(port), "--bridge", bridge],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=ROOT,
            env=environment,
        )
    _pid_file().write_text(f"{process.pid} {port}\n")
    deadline = time.monotonic() + START_SECONDS
    while not answers(emulator):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            tail = "\n".join(emulator.log.read_text(errors="replace").splitlines()[-10:])
            raise SlipwayError(f"The local AWS does not come up. Its last lines:\n{tail}", f"All of it: {emulator.log}")
        time.sleep(0.1)
    return Emulator(process.pid, port, started_fresh=True)


def _usable(found: Emulator, port: int) -> Emulator:
    """The emulator that runs, once it answers, on the port that was asked for."""
    if found.port != port:
        raise SlipwayError(
            f"This clone's local AWS runs on port {found.port}, and SLIPWAY_PORT asks for {port}.",
            f"unset SLIPWAY_PORT; or SLIPWAY_PORT={found.port} make down, which takes all that it holds away.",
        )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not answers(found):
        if recorded() is None:
            raise SlipwayError(f"The local AWS has just ended. Its log: {found.log}", "Try again.")
        if time.monotonic() > deadline:
            raise SlipwayError(
                f"The local AWS (pid {found.pid}) runs, but has not answered on port {port} for {PATIENCE_SECONDS} s. "
                f"It holds the environment, so nothing was stopped or changed. Its log: {found.log}",
                f"Wait if the machine is busy; `kill -CONT {found.pid}` if it was suspended; `make down` takes it away"
                " with all that it holds.",
            )
        time.sleep(0.5)
    return found


def stop() -> None:
    """Stop this clone's emulator and take away what it made in Docker, a killed one's too. Quiet when there is none."""
    found = recorded()
    if found:
        process = psutil.Process(found.pid)
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)  # a suspended one would not hear it
            try:
                process.wait(STOP_SECONDS)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(STOP_SECONDS)
    for port in _noted_port():
        remove_all(port, data=True)
    _pid_file().unlink(missing_ok=True)


def left_behind() -> bool:
    """Whether an emulator of this clone was started and not stopped by `stop`, be it alive or not."""
    return bool(_noted_port())


def _pid_file() -> Path:
    return run_dir() / "emulator.pid"


def recorded() -> Emulator | None:
    """The emulator of the pid file, if that process is still it and no other that got its number."""
    try:
        pid, port = _noted()
        command = psutil.Process(pid).cmdline()
    except (OSError, ValueError, psutil.Error):
        return None
    return Emulator(pid, port) if "infra.local.emulator" in command else None


def _noted() -> tuple[int, int]:
    pid, port = _pid_file().read_text().split()
    return int(pid), int(port)


def _noted_port() -> list[int]:
    """The port of the emulator that was started last, if it was not stopped since."""
    try:
        return [_noted()[1]]
    except (OSError, ValueError):
        return []


def _check_free(port: int, bridge: str) -> None:
    for address in ("127.0.0.1", bridge):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                raise SlipwayError(
                    f"The local AWS cannot listen on {address}:{port}: {error.strerror}{holder(port)}.",
                    f"Stop that, or choose another port: SLIPWAY_PORT={port + 34} make up",
                ) from None


def holder(port: int) -> str:
    """Who listens on a port, as the end of a sentence; empty when nobody does, or it cannot be told."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                process = psutil.Process(connection.pid)
                where = process.environ().get("SLIPWAY_RUN_DIR")
                owner = f", the local AWS of {where}" if where else ""
                return f", by pid {process.pid} ({process.name()}{owner})"
    return ""
