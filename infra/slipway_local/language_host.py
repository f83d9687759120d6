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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

MESSAGE_SHOWN_EXIT_CODE = 32
"""What a Pulumi program exits with when the engine has its error already."""
PARENT_POLL_SECONDS = 0.5
EMPTY_RESPONSE_METHODS = (
    "Handshake",
    "GetPluginInfo",
    "GetRequiredPlugins",
    "GetRequiredPackages",
    "RuntimeOptionsPrompts",
    "GetProgramDependencies",
)
"""Calls whose answer says nothing: plugins are placed beforehand, packages are those of `.venv`."""


class LanguageHost:
    """Answers the engine; the program itself runs in a child process.

    In messages as they are on the wire, for the engine starts a host or two for each of its commands, and to import
    the SDK that names their fields takes longer than all else that they do. An empty message is no bytes.
    """

    def __init__(self, engine_address: str) -> None:
        self.engine_address = engine_address
        self.children: set[subprocess.Popen[bytes]] = set()

    def handler(self) -> grpc.GenericRpcHandler:
        """Of the service that the engine asks."""
        answers = {"About": self.about, "Run": self.run, "Cancel": self.cancel} | dict.fromkeys(
            EMPTY_RESPONSE_METHODS, _empty_response
        )
        methods = {name: grpc.unary_unary_rpc_method_handler(answer) for name, answer in answers.items()}
        methods["InstallDependencies"] = grpc.unary_stream_rpc_method_handler(lambda *_: iter(()))
        return grpc.method_handlers_generic_handler("pulumirpc.LanguageRuntime", methods)

    def about(self, request: bytes, context: Any) -> bytes:
        """Returns what `pulumi about` shows."""
        from pulumi.runtime.proto import language_pb2

        version = ".".join(map(str, sys.version_info[:3]))
        return bytes(language_pb2.AboutResponse(executable=sys.executable, version=version).SerializeToString())

    def run(self, request: bytes, context: Any) -> bytes:
        """Runs the program in a process of its own, from a `RunRequest` to a `RunResponse`."""
        with tempfile.TemporaryDirectory() as scratch:
            asked = Path(scratch, "request")
            answered = Path(scratch, "response")
            asked.write_bytes(request)
            child = subprocess.Popen(
                [sys.executable, "-m", __spec__.name, "--run", str(asked), str(answered), self.engine_address],
            )
            self.children.add(child)
            code = child.wait()
            self.children.discard(child)
            if answered.exists():
                return answered.read_bytes()
        from pulumi.runtime.proto import language_pb2

        if code == MESSAGE_SHOWN_EXIT_CODE:  # as Pulumi's own language host does: the engine prints nothing more
            failed = language_pb2.RunResponse(bail=True)
        else:
            failed = language_pb2.RunResponse(error=f"the program's process ended with {code}")
        return bytes(failed.SerializeToString())

    def cancel(self, request: bytes, context: Any) -> bytes:
        """End what runs."""
        self.stop()
        return b""

    def stop(self) -> None:
        """End the programs that run."""
        for child in list(self.children):
            child.terminate()


def _empty_response(request: bytes, context: Any) -> bytes:
    return b""


def _run_program(asked: Path, answered: Path, engine_address: str) -> None:
    """Runs the program of a `RunRequest` in this process and write down the `RunResponse`."""
    from pulumi import Resource, log
    from pulumi.automation._server import LanguageServer
    from pulumi.runtime import resource
    from pulumi.runtime.proto import language_pb2, source_pb2

    request = language_pb2.RunRequest()
    request.ParseFromString(asked.read_bytes())
    request.args.insert(0, engine_address)  # where LanguageServer.Run looks for it
    directory = Path(request.info.program_directory) / request.info.entry_point

    # pulumi_aws makes so many classes that looking for garbage among them is half of its import; a process of seconds
    # leaves that to its end.
    gc.disable()

    def program() -> None:
        os.chdir(request.pwd)
        sys.path.insert(0, str(directory))
        runpy.run_path(str(directory), run_name="__main__")

    # The SDK has no switch for either. Where in the program each resource was made, 25 frames each: a third of a state
    # that is written at each step. And what it does for each of them, five calls to the engine for `pulumi up --debug`.
    resource._get_stack_trace = source_pb2.StackTrace
    log.debug = lambda *_, **__: None
    report_error = log.error

    def report_unless_shown(
        msg: str, resource: Resource | None = None, stream_id: int | None = None, ephemeral: bool | None = None
    ) -> None:
        if not msg.startswith(f"python inline source runtime error: {MESSAGE_SHOWN_EXIT_CODE}\n"):
            report_error(msg, resource, stream_id, ephemeral)

    log.error = report_unless_shown
    response = LanguageServer(program).Run(request, None)  # type: ignore[no-untyped-call]
    if response.error.partition("\n")[0].endswith(f"error: {MESSAGE_SHOWN_EXIT_CODE}"):
        # The program has logged its error and ended: the official host says so, and the engine adds no text of its own.
        response = language_pb2.RunResponse(bail=True)
    partial = answered.with_suffix(".partial")
    partial.write_bytes(response.SerializeToString())
    partial.rename(answered)
    sys.stdout.flush()
    os._exit(0)  # threads of the SDK's gRPC would hold up a normal exit


def watch_parent_process(ended: threading.Event) -> None:
    """Sets `ended` when the process that started this one is gone, killed ones included."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_POLL_SECONDS)
        ended.set()

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Serves one engine until it ends."""
    if sys.argv[1:2] == ["--run"]:
        _run_program(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    watch_parent_process(ended)
    host = LanguageHost(sys.argv[-1])
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers((host.handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    ended.wait()
    host.stop()
    os._exit(0)


if __name__ == "__main__":
    main()
