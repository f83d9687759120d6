"""The emulator's process: ministack with this package's behaviours, on loopback and Docker's bridge only."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import sys

FIRST_PORT, PORTS_EACH, RANGES = 15432, 10, 800


def _free_ports(gateway: int, addresses: tuple[str, ...]) -> int:
    """The first of a row of free ports for databases, then caches: ministack counts up from fixed ones, which another
    emulator on this machine would have taken. Where to look first depends on the gateway's port, for the same reason.
    """
    for number in range(RANGES):
        first = FIRST_PORT + (gateway - 4566 + number) % RANGES * 2 * PORTS_EACH
        if all(_free(address, first + n) for address in addresses for n in range(2 * PORTS_EACH)):
            return first
    raise SystemExit("No row of 20 free ports for databases and caches on this machine.")


def _free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


def main() -> None:
    """Serve until SIGTERM, then take away every container that was made for a client.

    The data of databases stay, for the machine may be going down: `process.stop` takes them away.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bridge", required=True, help="this machine's address on Docker's default bridge")
    arguments = parser.parse_args()
    # ministack reads its settings when it is imported. HOSTNAME would be taken for a container's id.
    os.environ.pop("HOSTNAME", None)
    ports = _free_ports(arguments.port, ("127.0.0.1", arguments.bridge))
    os.environ |= {
        "GATEWAY_PORT": str(arguments.port),
        "RDS_BASE_PORT": str(ports),
        "ELASTICACHE_BASE_PORT": str(ports + PORTS_EACH),
        "SLIPWAY_BRIDGE": arguments.bridge,
        "MINISTACK_HOST": "host.docker.internal",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    os.environ.pop("AWS_ENDPOINT_URL", None)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(name)s %(levelname)s %(message)s")

    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    from infra.local.emulator import cleanup, services
    from infra.local.emulator.alb.websocket import through_balancers
    from infra.local.emulator.ecs.protection import through_agent
    from infra.local.emulator.ecs.tasks import ending
    from infra.local.emulator.polls import through_polls

    services.install()
    config = Config()
    config.bind = [f"127.0.0.1:{arguments.port}", f"{arguments.bridge}:{arguments.port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 2

    async def run() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)

        async def trigger() -> None:
            await ended.wait()

        await serve(through_agent(through_balancers(through_polls(app))), config, shutdown_trigger=trigger)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())
    ending.set()
    cleanup.remove_all(arguments.port, data=False)
    os._exit(0)  # ministack's threads would hold up a normal exit


if __name__ == "__main__":
    main()
