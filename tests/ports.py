"""Ports of this machine for servers that tests start."""

from __future__ import annotations

import os
import socket

PORTS = range(10_000, 15_400)
"""Below the ephemeral ports: the kernel could give one of those to another process before a slow server listens."""
_taken: list[socket.socket] = []
"""Abstract sockets that reserve ports for this process until it ends: other tests run at the same time."""


def free_port() -> int:
    """Returns a port that no process listens on, and that no other test gets."""
    first = os.getpid() * 97 % len(PORTS)
    for port in (*PORTS[first:], *PORTS[:first]):
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("0.0.0.0", port))  # noqa: S104 - it does not listen
        except OSError:
            name.close()
        else:
            _taken.append(name)
            return port
    raise RuntimeError(f"No port from {PORTS.start} to {PORTS.stop} is free.")
