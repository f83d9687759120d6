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

FIRST_PORT = 15432
PORTS_PER_SERVICE = 10
PORT_RANGES = 800


def _find_free_ports(gateway: int, addresses: tuple[str, ...]) -> int:
    """The first of a row of free ports for databases, then caches: ministack counts up from fixed ones, which another
    emulator on this machine would have taken. Where to look first depends on the gateway's port, for the same reason.
    """
    for number in range(PORT_RANGES):
        first = FIRST_PORT + (gateway - 4566 + number) % PORT_RANGES * 2 * PORTS_PER_SERVICE
        if all(_is_port_free(address, first + n) for address in addresses for n in range(2 * PORTS_PER_SERVICE)):
            return first
    raise SystemExit("No row of 20 free ports for databases and caches on this machine.")


def _is_port_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


def main() -> None:
    """Serves until SIGTERM, then removes every container that was created for a client.

    The data of databases stay, for the machine may be going down: `process.stop` takes them away.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bridge", required=True, help="this machine's address on Docker's default bridge")
    arguments = parser.parse_args()
    # ministack reads its settings when it is imported. HOSTNAME would be taken for a container's id.
    os.environ.pop("HOSTNAME", None)
    ports = _find_free_ports(arguments.port, ("127.0.0.1", arguments.bridge))
    os.environ |= {
        "GATEWAY_PORT": str(arguments.port),
        "RDS_BASE_PORT": str(ports),
        "ELASTICACHE_BASE_PORT": str(ports + PORTS_PER_SERVICE),
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

    from slipway_local import ownership
    from slipway_local.docker_engine import acquire_engine_share
    from slipway_local.emulator import cleanup
    from slipway_local.emulator.alb.request_guard import add_request_guard, disable_h2c_upgrade
    from slipway_local.emulator.alb.websocket import add_websocket_proxy
    from slipway_local.emulator.asgi import add_fixed_answer
    from slipway_local.emulator.credentials_address import credentials_address
    from slipway_local.emulator.ecs.task_protection import add_ecs_agent_endpoint
    from slipway_local.emulator.ecs.tasks import shutting_down
    from slipway_local.emulator.firewall import start_firewall, stop_firewall
    from slipway_local.emulator.labels import OWNER_PATH
    from slipway_local.emulator.patches import install
    from slipway_local.emulator.patches.sqs_long_poll import add_long_poll_cancellation
    from slipway_local.emulator.rights import emulator_authorizer
    from slipway_local.rights.layer import through_rights

    acquire_engine_share()
    install.install_all()
    disable_h2c_upgrade()
    start_firewall()
    config = Config()
    addresses = ["127.0.0.1", arguments.bridge, credentials_address()]
    config.bind = [f"{address}:{arguments.port}" for address in addresses if address]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 2

    async def run() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)

        async def trigger() -> None:
            await ended.wait()

        allowed = through_rights(add_long_poll_cancellation(app), emulator_authorizer())
        layered = add_request_guard(add_ecs_agent_endpoint(add_websocket_proxy(allowed)))
        await serve(
            add_fixed_answer(layered, OWNER_PATH, ownership.owner_as_json()),
            config,
            shutdown_trigger=trigger,
        )

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())
    shutting_down.set()
    stop_firewall()
    cleanup.remove_docker_resources(arguments.port, data=False)
    os._exit(0)  # ministack's threads would hold up a normal exit


if __name__ == "__main__":
    main()
