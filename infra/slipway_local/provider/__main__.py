"""The provider's process: the engine starts it, reads a port from its standard output, and ends it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc

from slipway_local.language_host import watch_parent_process
from slipway_local.provider.grpc_messages import stub_pulumi_packages

WORKERS = 64
MESSAGE_BYTES = 400 * 1024 * 1024  # as the engine has it
FINISH_TIMEOUT_SECONDS = 120
"""Limit for operations after the engine has ended: the journal records what they create."""


def main() -> None:
    """Serves one engine until it ends."""
    stub_pulumi_packages()
    from pulumi.runtime.proto import provider_pb2_grpc

    from slipway_local.provider.grpc_service import LocalAwsProvider

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    watch_parent_process(ended)
    size = [("grpc.max_send_message_length", MESSAGE_BYTES), ("grpc.max_receive_message_length", MESSAGE_BYTES)]
    server = grpc.server(ThreadPoolExecutor(max_workers=WORKERS), options=size)
    provider = LocalAwsProvider()
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    ended.wait()
    provider.aws.cancelled.set()  # long waits end; what is being made is finished and noted
    server.stop(FINISH_TIMEOUT_SECONDS).wait()
    os._exit(0)


if __name__ == "__main__":
    main()
