"""`slipway connect`: a port on this machine that leads to a stack's database, cache or task."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slipway.cli.command_words import command_words
from slipway.cli.completion import complete_processes, complete_stacks
from slipway.cli.console import stderr_console, stdout_console
from slipway.cli.prompts import JsonOption
from slipway.config.errors import SlipwayError
from slipway.pipeline.stack_access import open_local_or_aws_stack

if TYPE_CHECKING:
    from slipway.release.deployed_stack import DeployedStack
    from slipway.release.tunnel import Tunnel

STORES = ("database", "cache")
WAIT_SECONDS = 0.5


def connect(
    context: typer.Context,
    stack: Annotated[
        str, typer.Argument(help="A deployed environment: local, dev, staging, prod.", autocompletion=complete_stacks)
    ],
    destination: Annotated[str, typer.Argument(metavar="database|cache|PORT", help="A store, or a port of a task.")],
    write: Annotated[
        bool, typer.Option("--write", help="A database login that may write all tables; else it only reads.")
    ] = False,
    process: Annotated[
        str,
        typer.Option(
            "--process", "-p", help="The process whose task it goes through.", autocompletion=complete_processes
        ),
    ] = "",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port here; 0: a free one.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Open a port here that leads to the database, the cache or a task, until Ctrl-C; no bastion, no open group.

    The database gets a login of its own for you, which is dropped at the end. Behind `--` stands a command that runs
    while the port is open, with the login in its environment: `slipway connect dev database -- psql`.
    """
    from slipway.release.exec_target import require_exec
    from slipway.release.session_client import require_session_client

    if destination not in STORES and not (destination.isdecimal() and 0 < int(destination) < 65536):
        raise SlipwayError(
            f"{destination} is neither a store nor a port.", "Write database, cache, or a port from 1 to 65535."
        )
    if write and destination != "database":
        raise SlipwayError(
            f"--write is for the database's login, and the destination is {destination}.",
            f"slipway connect {stack} {destination}",
        )
    deployed = open_local_or_aws_stack(stack)
    require_exec(deployed)
    if destination in STORES and destination not in (deployed.outputs.get("connect") or {}):
        raise SlipwayError(
            f"The stack {stack} has no {destination}.",
            f"Add it to `needs` in stacks/app.yaml, then: pulumi up --stack {stack}",
        )
    require_session_client(deployed)
    stderr_console.print(
        f"Connecting to {destination} of {stack}, in account {deployed.aws.account} "
        f"({deployed.aws.session.region_name}){', with a login that may write' if write else ''} ...",
        markup=False,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as closing:
        connection = _open(deployed, destination, closing, process=process, port=port, write=write)
        raise typer.Exit(_use(connection, command_words(context), as_json=as_json))


class _Connection:
    """An open tunnel, and how a client uses it."""

    def __init__(self, tunnel: Tunnel, line: str, environment: Mapping[str, str], facts: Mapping[str, Any]) -> None:
        self.tunnel = tunnel
        self.line = line
        self.environment = environment
        self.facts = facts


def _open(
    stack: DeployedStack, destination: str, closing: ExitStack, *, process: str, port: int, write: bool
) -> _Connection:
    """Opens what is closed with `closing`, in the opposite order."""
    from slipway.release import store_login
    from slipway.release.tunnel import Destination, Tunnel

    def say(line: str) -> None:
        stderr_console.print(line, markup=False)

    if destination not in STORES:
        tunnel = closing.enter_context(
            Tunnel(stack, Destination(int(destination), "", (process,)), say, local_port=port)
        )
        url = f"http://127.0.0.1:{tunnel.local_port}"
        return _Connection(tunnel, f"curl {url}/", {}, {"url": url})
    store = stack.outputs["connect"][destination]
    processes = (process,) if process else tuple(store["processes"])
    folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="slipway-connect-")))
    where = Destination(int(store["port"]), store["host"], processes)
    tunnel = closing.enter_context(Tunnel(stack, where, say, local_port=port))
    if destination == "cache":
        password = store_login.read_cache_password(stack, store)
        file = store_login.write_private_file(folder, "redis-token", password)
        line = store_login.redis_cli_line(store, tunnel.local_port, file)
        return _Connection(
            tunnel, line, {"REDISCLI_AUTH": password}, {"passwordFile": str(file), "host": store["host"]}
        )
    closing.callback(say, "The login is dropped.")
    login = closing.enter_context(store_login.database_login(stack, store, write=write))
    closing.callback(say, f"Dropping the login {login.user} ...")
    environment = store_login.database_environment(store, login, tunnel.local_port, folder)
    facts = {
        "host": store["host"],
        "database": store["name"],
        "user": login.user,
        "passfile": environment["PGPASSFILE"],
    }
    return _Connection(tunnel, store_login.psql_line(environment), environment, facts)


def _use(connection: _Connection, words: Sequence[str], *, as_json: bool) -> int:
    """Runs the command, or keeps the port open until Ctrl-C; the exit code."""
    if words:
        return _run(connection, words)
    if as_json:
        facts = {"address": "127.0.0.1", "port": connection.tunnel.local_port, **connection.facts}
        sys.stdout.write(json.dumps(facts | {"command": connection.line}) + "\n")
        sys.stdout.flush()
    else:
        stdout_console.print(connection.line, markup=False)
        stderr_console.print("Open until Ctrl-C.")
    try:
        while not connection.tunnel.ended.wait(WAIT_SECONDS):
            pass
    except KeyboardInterrupt:
        return 0
    if connection.tunnel.failure:
        raise connection.tunnel.failure
    return 0


def _run(connection: _Connection, words: Sequence[str]) -> int:
    """Runs a command with the login in its environment. Ctrl-C is the command's: psql ends a query by it."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run(
            _with_options(connection, words), env=dict(os.environ) | dict(connection.environment)
        ).returncode
    except FileNotFoundError:
        raise SlipwayError(
            f"The program `{words[0]}` is not installed here.", f"Install it; by hand: {connection.line}"
        ) from None
    finally:
        signal.signal(signal.SIGINT, before)


def _with_options(connection: _Connection, words: Sequence[str]) -> list[str]:
    """Returns the command; redis-cli, which has no variables for an address, gets it as options."""
    if words[0] == "redis-cli" and "REDISCLI_AUTH" in connection.environment:
        line = connection.line.partition("redis-cli ")[2]
        return ["redis-cli", *shlex.split(line), *words[1:]]
    return list(words)
