"""Starting and stopping the emulator's process, by pid file."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.errors import SlipwayError
from infra.local.emulator.cleanup import remove_all
from infra.local.paths import ROOT, run_dir

START_SECONDS = 60
STOP_SECONDS = 60


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
    found = _recorded()
    if found and _answers(found.port):
        return found
    return None


def start(port: int, bridge: str) -> Emulator:
    """Start the emulator of this clone, unless it runs.

    Raises `SlipwayError` when the port is taken, naming who has it, or when the emulator does not come up.
    """
    found = _recorded()
    if found and found.port == port and _answers(port):
        return found
    if found:
        stop()
    _check_free(port, bridge)
    remove_all(port)  # what a killed emulator left behind
    emulator = Emulator(0, port)
    emulator.log.parent.mkdir(exist_ok=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "SLIPWAY_RUN_DIR": str(run_dir())}
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
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            _pid_file().unlink(missing_ok=True)
            tail = "\n".join(emulator.log.read_text(errors="replace").splitlines()[-10:])
            raise SlipwayError(f"The local AWS does not come up. Its last lines:\n{tail}", f"All of it: {emulator.log}")
        time.sleep(0.1)
    return Emulator(process.pid, port, started_fresh=True)


def stop() -> None:
    """Stop this clone's emulator, and take away what it made in Docker. Quiet when there is none."""
    found = _recorded()
    if not found:
        _pid_file().unlink(missing_ok=True)
        return
    process = psutil.Process(found.pid)
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
    remove_all(found.port)
    _pid_file().unlink(missing_ok=True)


def _pid_file() -> Path:
    return run_dir() / "emulator.pid"


def _recorded() -> Emulator | None:
    """The emulator of the pid file, if that process is still it and no other that got its number."""
    try:
        pid, port = map(int, _pid_file().read_text().split())
        command = psutil.Process(pid).cmdline()
    except (OSError, ValueError, psutil.Error):
        return None
    return Emulator(pid, port) if "infra.local.emulator" in command else None


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=5):
            return True
    except (OSError, urllib.error.URLError):
        return False


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
