"""A port on this machine that leads to a store through a running task, and stays when that task is replaced."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from slipway.config.errors import SlipwayError
from slipway.release.aws_errors import describe_aws_error, retry_reads
from slipway.release.clock import SYSTEM_CLOCK, Clock
from slipway.release.deployed_stack import DeployedStack
from slipway.release.exec_target import ExecTarget, find_exec_target, is_task_running
from slipway.release.progress import ProgressReporter
from slipway.release.session_client import forward_client

TO_TASK = "AWS-StartPortForwardingSession"
TO_REMOTE_HOST = "AWS-StartPortForwardingSessionToRemoteHost"
OPEN_TIMEOUT_SECONDS = 30.0
POLL_SECONDS = 2.0
MAX_FAILURES = 5
"""Sessions in a row that end within a minute, after which the tunnel gives up."""
STABLE_SECONDS = 60.0
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Destination:
    """Where a tunnel leads."""

    port: int
    host: str = ""
    """Empty: the task itself."""
    processes: Sequence[str] = ("",)
    """Processes whose tasks reach it, the best first."""


@dataclass(frozen=True)
class _Session:
    """A client that runs, and the container that it goes through."""

    target: ExecTarget
    client: subprocess.Popen[bytes]

    def end(self) -> None:
        """Ends the client."""
        if self.client.poll() is None:
            self.client.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.client.wait(5)
            self.client.kill()


class Tunnel:
    """A port on loopback, kept open by a thread until `close`. A context manager.

    When its task ends, as in a deploy, it continues through another one: open connections break, new ones work.
    """

    def __init__(
        self,
        stack: DeployedStack,
        destination: Destination,
        say: ProgressReporter,
        *,
        local_port: int = 0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._stack = stack
        self._destination = destination
        self._say = say
        self._clock = clock
        self._closing = threading.Event()
        self._session: _Session | None = None
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the tunnel
        self._thread = threading.Thread(target=self._keep_open, daemon=True)
        self.local_port = local_port or _free_port()
        self.ended = threading.Event()
        """The tunnel is closed, or has given up: `failure` says why."""
        self.failure: SlipwayError | None = None

    def __enter__(self) -> Self:
        """Opens it. Raises `SlipwayError` where it cannot be opened."""
        _ensure_free(self.local_port)
        self._session = self._open()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        self._closing.set()
        self._thread.join(timeout=2 * POLL_SECONDS)
        if self._session:
            self._session.end()
        self._errors.close()

    def _open(self) -> _Session:
        target = self._find_target()
        try:
            answer = self._start_session(target)
        except (ClientError, BotoCoreError) as error:
            raise describe_aws_error(error) from None
        program = forward_client(self._stack, answer, self._parameters(target), self.local_port)
        self._errors.seek(0)
        self._errors.truncate()
        client = subprocess.Popen(
            program.command,
            env=program.environment,
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
            start_new_session=True,  # a Ctrl-C is for what uses the tunnel, and then for this process
        )
        session = _Session(target, client)
        deadline = self._clock.now() + OPEN_TIMEOUT_SECONDS
        try:
            while not _is_open(self.local_port):
                if client.poll() is not None or self._clock.now() > deadline:
                    raise SlipwayError(
                        f"The tunnel through the task {target.task_id} does not open: {self._last_words()}",
                        "Run the same command again; the session's log group may have more.",
                    )
                self._clock.sleep(0.1)
        except BaseException:
            session.end()
            raise
        return session

    def _find_target(self) -> ExecTarget:
        failures: list[SlipwayError] = []
        for process in self._destination.processes:
            try:
                return find_exec_target(self._stack, process)
            except SlipwayError as error:
                failures.append(error)
        if not failures:
            raise SlipwayError(
                f"No process that runs all the time may reach {self._destination.host or self._destination.port}.",
                "Add the store to the `needs` of one in stacks/app.yaml.",
            )
        raise failures[0]

    def _parameters(self, target: ExecTarget) -> dict[str, Any]:
        host = {"host": [self._destination.host]} if self._destination.host else {}
        return {
            "Target": target.ssm_target,
            "DocumentName": TO_REMOTE_HOST if host else TO_TASK,
            "Parameters": {
                **host,
                "portNumber": [str(self._destination.port)],
                "localPortNumber": [str(self.local_port)],
            },
        }

    def _start_session(self, target: ExecTarget) -> Mapping[str, str]:
        session: Mapping[str, str] = self._stack.aws.client("ssm").start_session(**self._parameters(target))
        return session

    def _keep_open(self) -> None:
        failures = 0
        opened = self._clock.now()
        try:
            while self._session and not self._closing.wait(POLL_SECONDS):
                reason = self._interruption(self._session)
                if not reason:
                    continue
                failures = failures + 1 if self._clock.now() - opened < STABLE_SECONDS else 1
                if failures > MAX_FAILURES:
                    raise SlipwayError(
                        f"The tunnel ended {failures} times in a row: {reason}", "Run the same command again later."
                    )
                self._say(f"{reason} Connecting again.")
                self._session.end()
                self._session = self._reopen()
                opened = self._clock.now()
                self._say(f"Connected through the task {self._session.target.task_id}: open a new connection.")
        except SlipwayError as error:
            self.failure = error
        except (ClientError, BotoCoreError) as error:
            self.failure = describe_aws_error(error)
        finally:
            self.ended.set()

    def _reopen(self) -> _Session:
        """Opens it again. In the middle of a rollout there may be no task for some seconds."""
        deadline = self._clock.now() + OPEN_TIMEOUT_SECONDS
        while True:
            try:
                return self._open()
            except SlipwayError:
                if self._clock.now() > deadline or self._closing.wait(POLL_SECONDS):
                    raise

    def _interruption(self, session: _Session) -> str:
        """Returns why a session does not work any more; empty while it does."""
        if session.client.poll() is not None:
            return f"The session ended ({self._last_words()})."
        task = session.target.task
        if not retry_reads(lambda: is_task_running(self._stack, task), self._say, self._clock):
            return f"The task {session.target.task_id} has ended."
        return ""

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it gives no reason")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _ensure_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise SlipwayError(
                f"The port {port} of this machine cannot be used: {error.strerror}.",
                "Leave out --port, or choose another.",
            ) from None


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0
