"""Runs a command, or a shell, in a container of a running task: `slipway exec`."""

from __future__ import annotations

import io
import re
import secrets
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from botocore.exceptions import ClientError

from slipway.config.errors import SlipwayError
from slipway.release.aws_errors import aws_errors_as_slipway_errors
from slipway.release.clock import SYSTEM_CLOCK, Clock
from slipway.release.deployed_stack import DeployedStack
from slipway.release.exec_target import ExecTarget
from slipway.release.session_client import SessionClient, exec_client

SHELL = ("sh", "-c", "exec $(command -v bash || command -v sh)")
AGENT_ATTEMPTS = 5
AGENT_RETRY_SECONDS = 2.0
"""ECS reports an agent as running some seconds before it answers."""
PLUGIN_LINES = re.compile(rb"(Starting|Exiting) session with [Ss]ession[Ii]d: .*")
"""What the plugin itself writes among the command's lines."""


def run_in_container(
    stack: DeployedStack, target: ExecTarget, command: Sequence[str], clock: Clock = SYSTEM_CLOCK
) -> int:
    """Runs a command, or a shell where it is empty, attached to this terminal; its exit code.

    AWS passes no exit code: a shell in the container prints it, and the line is taken out here. A shell's own is 0.
    Raises `SlipwayError` for what AWS refuses and where there is no client for the session.
    """
    mark = f"slipway-exit-{secrets.token_hex(8)}"
    words = list(command or SHELL)
    marked = ["sh", "-c", f'{shlex.join(words)}; echo "{mark}:$?"'] if command else words
    with aws_errors_as_slipway_errors():
        session = _start_session(stack, target, shlex.join(marked), clock)
    client = exec_client(stack, session, target.ssm_target, words, terminal=sys.stdin.isatty())
    if client.passes_exit_code or not command:
        with _signals_left_to_client():
            code = subprocess.run(client.command, env=client.environment).returncode
        return code if client.passes_exit_code else 0
    return _run_with_marked_exit_code(client, mark)


def _start_session(stack: DeployedStack, target: ExecTarget, command: str, clock: Clock) -> dict[str, str]:
    ecs = stack.aws.client("ecs")
    for _ in range(AGENT_ATTEMPTS):
        try:
            answer = ecs.execute_command(
                cluster=stack.cluster, task=target.task, container=target.container, interactive=True, command=command
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "TargetNotConnectedException":
                raise
        else:
            session: dict[str, str] = answer["session"]
            return session
        clock.sleep(AGENT_RETRY_SECONDS)
    raise SlipwayError(
        f"ECS Exec's agent in the task {target.task_id} does not answer: the task may be ending.",
        "Run the same command again: it takes another task where there is one.",
    )


def _run_with_marked_exit_code(client: SessionClient, mark: str) -> int:
    with (
        _signals_left_to_client(),
        subprocess.Popen(client.command, env=client.environment, stdout=subprocess.PIPE) as process,
    ):
        code = copy_until_mark(process.stdout or io.BytesIO(), sys.stdout.buffer, mark)
    if code is None:
        raise SlipwayError(
            "The session ended before its command did: the task may have been stopped, or the network was away.",
            "Run the same command again.",
        )
    return code


def copy_until_mark(source: IO[bytes], target: IO[bytes], mark: str) -> int | None:
    """Copies a session's lines without the plugin's own; the exit code behind `mark`, or None where there is none."""
    code: int | None = None
    for line in source:
        text, _, rest = line.partition(f"{mark}:".encode())
        if rest:
            code = int(rest.strip() or b"0")
            line = text
        if line and not PLUGIN_LINES.fullmatch(line.strip()) and (code is None or text.strip()):
            target.write(line)
            target.flush()
    return code


@contextmanager
def _signals_left_to_client() -> Iterator[None]:
    """Lets Ctrl-C, Ctrl-\\ and Ctrl-Z reach the client, which passes them on, and not end this process."""
    numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)
    before: list[Any] = [signal.signal(number, lambda *_: None) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
