"""The `slipway` command: registers all groups of commands, and sets exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from slipway.cli import (
    graph_commands,
    local_commands,
    pipeline_commands,
    preview_commands,
    release_commands,
    task_commands,
)
from slipway.cli.check_command import check
from slipway.cli.command_words import CommandWithWords
from slipway.cli.completion import PROGRAM, completion, prepare_completion
from slipway.cli.connect_command import connect
from slipway.cli.dashboards import dashboards
from slipway.cli.exit_codes import ExitCode
from slipway.cli.init.command import init
from slipway.cli.init.eject import eject, run_ejected_copy
from slipway.cli.init.kit import DISTRIBUTION, installed_version
from slipway.cli.init.upgrade import upgrade
from slipway.cli.log_viewer import logs
from slipway.cli.pause_commands import pause, resume
from slipway.cli.pipeline_setup_commands import pipeline
from slipway.cli.rights_command import rights
from slipway.cli.schema_commands import schema
from slipway.cli.secret_commands import secrets
from slipway.cli.service_commands import open_, restart, scale

app = typer.Typer(
    help="Deploy a FastAPI service to AWS, or to an AWS on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"{DISTRIBUTION} {installed_version() or 'is not installed as a package'}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the kit's version.")
    ] = False,
) -> None:
    """Has the options of `slipway` itself."""


app.command()(init)
app.command()(upgrade)
app.command()(eject)
local_commands.add_commands(app)
app.command()(graph_commands.plan)
app.command()(graph_commands.diagram)
app.command()(graph_commands.cost)
app.command()(check)
app.command()(rights)
app.command()(logs)
app.command(cls=CommandWithWords)(task_commands.run)
app.command("exec", cls=CommandWithWords)(task_commands.exec_)
app.command(cls=CommandWithWords)(connect)
app.command()(release_commands.migrate)
app.command()(release_commands.deployments)
app.command()(release_commands.rollback)
app.command()(release_commands.destroy)
app.command()(restart)
app.command()(scale)
app.command(name="open")(open_)
app.command()(secrets)
app.command()(pause)
app.command()(resume)
app.command()(dashboards)
app.command()(schema)
app.command()(completion)
app.command()(pipeline_commands.promote)
app.command()(pipeline_commands.drift)
app.command()(pipeline_commands.bootstrap)
app.add_typer(pipeline, name="pipeline")
app.add_typer(preview_commands.app, name="preview")
app.command()(pipeline_commands.comment)
app.add_typer(pipeline_commands.image, name="image")


def build_command() -> Any:
    """The click command of `app`: every command takes --json, one without a JSON answer for its errors alone."""
    command = typer.main.get_command(app)
    for leaf in _leaf_commands(command):
        if not any("--json" in parameter.opts for parameter in leaf.params):
            leaf.params.append(_json_errors_option())
    return command


def _json_errors_option() -> Any:
    """A --json that the command's function does not see, made by typer: its option's class has no stable form."""

    def command(
        as_json: Annotated[bool, typer.Option("--json", help="Print an error as a JSON object.")] = False,
    ) -> None: ...

    carrier = typer.Typer(add_completion=False)
    carrier.command()(command)
    (option,) = (parameter for parameter in typer.main.get_command(carrier).params if "--json" in parameter.opts)
    option.expose_value = False
    return option


def main() -> None:
    """Run the command; an error that the user can fix is printed without a stack trace."""
    run_ejected_copy()
    # Pulumi starts the program with uv: adds the one of this environment where PATH has none.
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    prepare_completion()
    command = build_command()
    as_json = asks_for_json(sys.argv[1:])
    try:
        # Without standalone mode click raises what it would print: a wrong option is an object under --json too.
        code = command.main(prog_name=PROGRAM, standalone_mode=not as_json)
    except SystemExit as ended:
        code = ended.code
    except BrokenPipeError:  # the reader, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except Exception as error:
        _fail(error, command, as_json=as_json)
    if code == ExitCode.INTERRUPTED:  # click ends so for Ctrl-C, without a word
        _fail(KeyboardInterrupt(), command, as_json=as_json)
    sys.exit(code)


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether --json is among the arguments, before a `--` that begins another program's own."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in own


def _fail(error: BaseException, command: Any, *, as_json: bool) -> NoReturn:
    from slipway.cli.failure import describe_failure, print_failure  # botocore's import takes a moment

    failure = describe_failure(error, _command_path(command, sys.argv[1:]))
    print_failure(failure, as_json=as_json)
    sys.exit(failure.exit_code)


def _command_path(command: Any, arguments: Sequence[str]) -> str:
    """The command's full name, such as `slipway preview create`, without its arguments."""
    path = [PROGRAM]
    for word in arguments:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            break
        path.append(word)
    return " ".join(path)


def _leaf_commands(command: Any) -> Iterator[Any]:
    children = getattr(command, "commands", {})
    if not children:
        yield command
    for child in children.values():
        yield from _leaf_commands(child)


if __name__ == "__main__":
    main()
