"""`python -m slipway_local.port_forward`: the local AWS's client of a session that forwards a port.

It listens on loopback and connects each caller to the address, until it is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 65536


async def forward(host: str, port: int, local_port: int) -> None:
    """Serves `local_port` until this is cancelled."""

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError as error:
            sys.stderr.write(f"{host}:{port}: {error.strerror or error}\n")
            sys.stderr.flush()
            writer.close()
            return
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    server = await asyncio.start_server(connect, LOOPBACK, local_port)
    async with server:
        await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(forward(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
