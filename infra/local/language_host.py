"""A Python language host for the Pulumi engine, for where the official `pulumi-language-python` cannot be had.

The engine starts it with its own address as the last argument, reads a port from its standard output, and asks it
over gRPC to run the program. Each run gets a fresh process, so that nothing is left of a preview in the update.
"""

from __future__ import annotations

import gc
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

PARENT_POLL_SECONDS = 0.5


class Host(LanguageServer):
    """Answers the engine; the program itself runs in a child process."""

    def __init__(self, engine_address: str) -> None:
        super().__init__(lambda: None)
        self.engine_address = engine_address
        self.children: set[subprocess.Popen[bytes]] = set()

    def Handshake(self, request: Any, context: Any) -> Any:
        return language_pb2.LanguageHandshakeResponse()

    def Run(self, request: Any, context: Any) -> Any:
        request.args.insert(0, self.engine_address)  # where LanguageServer.Run looks for it
        with tempfile.TemporaryDirectory() as scratch:
            asked, answered = Path(scratch, "request"), Path(scratch, "response")
            asked.write_bytes(request.SerializeToString())
            child = subprocess.Popen(
                [sys.executable, "-m", __spec__.name, "--run", str(asked), str(answered)],
            )
            self.children.add(child)
            code = child.wait()
            self.children.discard(child)
            response = language_pb2.RunResponse()
            if answered.exists():
                response.ParseFromString(answered.read_bytes())
            else:
                response.error = f"the program's process ended with {code}"
            return response

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        return language_pb2.RuntimeOptionsResponse()

    def InstallDependencies(self, request: Any, context: Any) -> Iterator[Any]:
        return iter(())

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        return language_pb2.GetProgramDependenciesResponse()

    def Cancel(self, request: Any, context: Any) -> Any:
        self.stop()
        return empty_pb2.Empty()

    def stop(self) -> None:
        """End the programs that run."""
        for child in list(self.children):
            child.terminate()


def _run_program(asked: Path, answered: Path) -> None:
    """Run the program of a `RunRequest` in this process and write down the `RunResponse`."""
    request = language_pb2.RunRequest()
    request.ParseFromString(asked.read_bytes())
    directory = Path(request.info.program_directory) / request.info.entry_point

    # pulumi_aws makes so many classes that looking for garbage among them is half of its import; a process of seconds
    # leaves that to its end.
    gc.disable()

    def program() -> None:
        os.chdir(request.pwd)
        sys.path.insert(0, str(directory))
        runpy.run_path(str(directory), run_name="__main__")

    response = LanguageServer(program).Run(request, None)  # type: ignore[no-untyped-call]
    partial = answered.with_suffix(".partial")
    partial.write_bytes(response.SerializeToString())
    partial.rename(answered)
    sys.stdout.flush()
    os._exit(0)  # threads of the SDK's gRPC would hold up a normal exit


def end_with_parent(ended: threading.Event) -> None:
    """Set `ended` when the process that started this one is gone, killed ones included."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_POLL_SECONDS)
        ended.set()

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Serve one engine until it ends."""
    if sys.argv[1:2] == ["--run"]:
        _run_program(Path(sys.argv[2]), Path(sys.argv[3]))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    end_with_parent(ended)
    host = Host(sys.argv[-1])
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    ended.wait()
    host.stop()
    os._exit(0)


if __name__ == "__main__":
    main()
