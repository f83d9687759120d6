"""The provider's process: the engine starts it, reads a port from its standard output, and ends it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc

from infra.local.language_host import end_with_parent
from infra.local.provider.messages import without_the_sdk

WORKERS = 64
MESSAGE_BYTES = 400 * 1024 * 1024  # as the engine has it
FINISH_SECONDS = 120
"""How long operations may go on after the engine is gone: what they make is in the journal then."""


def main() -> None:
    """Serve one engine until it ends."""
    without_the_sdk()
    from pulumi.runtime.proto import provider_pb2_grpc

    from infra.local.provider.service import Provider

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    end_with_parent(ended)
    size = [("grpc.max_send_message_length", MESSAGE_BYTES), ("grpc.max_receive_message_length", MESSAGE_BYTES)]
    server = grpc.server(ThreadPoolExecutor(max_workers=WORKERS), options=size)
    provider = Provider()
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    ended.wait()
    provider.aws.cancelled.set()  # long waits end; what is being made is finished and noted
    server.stop(FINISH_SECONDS).wait()
    os._exit(0)


if __name__ == "__main__":
    main()
