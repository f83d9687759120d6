"""Real servers for the tests, on loopback, with their data in a temporary folder.

Postgres and Redis are Debian's binaries, with TLS when given a certificate; S3 and SQS are the emulator's.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

PACKAGES = {"postgres": "postgresql-15", "redis-server": "redis-server"}
START_SECONDS = 120
# Below the ephemeral ports: the kernel could give one of those to another process before a slow server listens. Each
# process starts with another port, because other tests run at the same time.
_ports = cycle((port * 97 + os.getpid()) % 5_400 + 10_000 for port in range(5_400))


def free_port() -> int:
    """A port that no process listens on; a different one each time."""
    for port in _ports:
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))  # noqa: S104 - it does not listen
            except OSError:
                continue
            return port
    raise AssertionError("the ports do not end")


def find(program: str) -> str:
    """The program's path; Debian's package is installed where it is missing and this is root."""
    path = f"{os.environ['PATH']}:" + ":".join(map(str, Path("/usr/lib/postgresql").glob("*/bin")))
    found = shutil.which(program, path=path)
    if found:
        return found
    package = PACKAGES[program if program in PACKAGES else "postgres"]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise RuntimeError(f"{program} is missing: as root, apt-get install {package}")
    print(f"Installing Debian's {package} for the tests", flush=True)  # noqa: T201 - installing is said
    quiet: dict[str, Any] = {"check": True, "capture_output": True}
    # RUNLEVEL=1: what the package brings is not started as a service.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    subprocess.run(["apt-get", "update"], **quiet)
    subprocess.run(["apt-get", "install", "--yes", "--no-install-recommends", package], env=environment, **quiet)
    return find(program)


class Server:
    """A server's process that can be stopped, killed and started again on the same port and data."""

    def __init__(
        self,
        command: list[str],
        port: int,
        user: str | None,
        log: Path,
        environment: dict[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.command, self.port, self.user, self.log = command, port, user, log
        self.environment, self.folder = environment, folder or log.parent
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with self.log.open("a") as out:
            self.process = subprocess.Popen(
                self.command,
                stdout=out,
                stderr=out,
                user=self.user,
                cwd=self.folder,
                env=self.environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """As a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """In order; Postgres wants SIGINT for a fast shutdown."""
        self.process.send_signal(number)
        self.process.wait(START_SECONDS)


@dataclass
class Tls:
    """A certificate for `localhost`, its key, and the authority that signed it, as files."""

    certificate: Path
    key: Path
    authority: Path


@contextmanager
def postgres(tls: Tls | None = None) -> Iterator[tuple[Server, str]]:
    """A Postgres, and the URL of its owner. Its folder is its own: every pytest that starts on this machine takes
    away from others what they may do in pytest's, and as root the server runs as another user."""
    with tempfile.TemporaryDirectory(prefix="slipway-postgres-") as folder:
        yield from _postgres(Path(folder), tls)


def _postgres(data: Path, tls: Tls | None) -> Iterator[tuple[Server, str]]:
    initdb, binary, port = find("initdb"), find("postgres"), free_port()
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(data, user)
    subprocess.run(
        [initdb, "-D", str(data / "data"), "-U", "owner", "-A", "trust", "--locale=C.UTF-8", "-E", "UTF8"],
        check=True,
        capture_output=True,
        user=user,
        cwd=data,
    )
    options = ["-c", "fsync=off", "-c", f"unix_socket_directories={data}", "-c", "listen_addresses=127.0.0.1"]
    if tls:
        for file in (tls.certificate, tls.key):  # into its own folder: Postgres insists that the key is its own
            copy = Path(shutil.copy(file, data))
            copy.chmod(0o600)
            if user:
                shutil.chown(copy, user)
        certificate, key = data / tls.certificate.name, data / tls.key.name
        options += ["-c", "ssl=on", "-c", f"ssl_cert_file={certificate}", "-c", f"ssl_key_file={key}"]
    command = [binary, "-D", str(data / "data"), "-p", str(port), *options]
    server = Server(command, port, user, data / "log")
    try:
        yield server, f"postgresql://owner@127.0.0.1:{port}/postgres"
    finally:
        if server.process.poll() is None:
            server.stop()


@contextmanager
def redis(folder: Path, tls: Tls | None = None, password: str = "") -> Iterator[tuple[Server, str]]:
    """A Redis, and its URL."""
    port = free_port()
    listen = ["--port", str(port)]
    if tls:
        listen = ["--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no"]
        listen += ["--tls-cert-file", str(tls.certificate), "--tls-key-file", str(tls.key)]
        listen += ["--tls-ca-cert-file", str(tls.authority)]
    settings = folder / "redis.conf"
    settings.write_text(f"requirepass {password}\n" if password else "")
    command = [find("redis-server"), str(settings), *listen, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = Server([*command, "--dir", str(folder)], port, None, folder / "redis.log")
    try:
        yield server, f"{'rediss' if tls else 'redis'}://127.0.0.1:{port}/0"
    finally:
        if server.process.poll() is None:
            server.stop()


class Gate:
    """A way to a server on loopback that can be open, hold back what is said through it, or be shut."""

    def __init__(self, port: int) -> None:
        self.port, self._to = free_port(), port
        self._open = asyncio.Event()
        self._lines: set[asyncio.StreamWriter] = set()
        self.waits = asyncio.Event()
        """Set when something is held back."""

    async def open(self) -> None:
        """Let all through, what was held back first."""
        self.waits.clear()
        self._open.set()
        if not hasattr(self, "_server"):
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def hold(self) -> None:
        """Take connections, and let nothing through."""
        await self.open()
        self._open.clear()

    async def shut(self) -> None:
        """Refuse connections, and break those that there are."""
        if hasattr(self, "_server"):
            self._server.close()
            del self._server
        for line in self._lines:
            line.transport.abort()
        self._lines.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._lines |= {writer, back}
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer), return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if not self._open.is_set():
                    self.waits.set()
                    await self._open.wait()
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


@contextmanager
def aws(folder: Path) -> Iterator[str]:
    """The address of an S3 and an SQS."""
    port = free_port()
    command = [sys.executable, "-m", "hypercorn", "ministack.app:app", "--bind", f"127.0.0.1:{port}"]
    # Its port is its name: under the default one it would take the local environment's containers for its own, and at
    # its end take them away.
    server = Server(command, port, None, folder / "aws.log", os.environ | {"GATEWAY_PORT": str(port)})
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
