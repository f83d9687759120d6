"""Prints the error of a command with its place, cause and fix, as text or, with --json, as an object."""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CalledProcessError

import typer
from rich.markup import escape

from slipway.cli.console import stderr_console
from slipway.cli.exit_codes import ExitCode
from slipway.config.errors import SlipwayError
from slipway.config.project import run_dir
from slipway.release.aws_errors import find_slipway_error

USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""click's UsageError, which typer has under a name of its own: a wrong option, argument or command."""


@dataclass(frozen=True)
class Failure:
    """The printed parts of an error. With --json every field but `report` is always there."""

    error: str
    """What is wrong, in one sentence."""
    where: str = ""
    """The file, AWS operation or program that it is about; else the command."""
    why: str = ""
    """The cause, in the words of who reported it; empty where `error` says it."""
    fix: str = ""
    """The next thing to do."""
    exit_code: int = ExitCode.ERROR
    report: str = ""
    """The file with the stack trace of an unexpected error."""


def describe_failure(error: BaseException, command: str = "slipway") -> Failure:
    """Returns the message, place, cause and fix. Writes the stack trace of an unexpected error to a file."""
    if isinstance(error, KeyboardInterrupt):
        return Failure(
            "Interrupted. Nothing is lost.",
            command,
            "",
            "Run the same command again to continue.",
            ExitCode.INTERRUPTED,
        )
    if isinstance(error, typer.Abort):
        return Failure("Not confirmed: nothing was changed.", command, "", "Answer y, or give --yes.")
    if isinstance(error, USAGE_ERROR):
        return _describe_usage_error(error, command)
    known = find_slipway_error(error) if isinstance(error, Exception) else None
    if known:
        return Failure(known.message, known.where or command, known.why or _cause(error), known.fix)
    if isinstance(error, CalledProcessError):
        program = error.cmd if isinstance(error.cmd, str) else str(error.cmd[0])
        return Failure(str(error), Path(program).name, _text(error.stderr or error.stdout))
    if isinstance(error, OSError) and error.filename:
        return Failure(f"{error.filename}: {error.strerror}.", str(error.filename), error.strerror or "")
    report = _write_report(error)
    return Failure(
        f"{type(error).__name__}: {error}. This is a bug in Slipway.",
        command,
        type(error).__name__,
        f"The stack trace is in {report}: please attach it to an issue.",
        report=str(report),
    )


def print_failure(failure: Failure, *, as_json: bool) -> None:
    """Prints the text on standard error, or the object of --json on standard output."""
    if as_json:
        fields = asdict(failure)
        if not failure.report:
            del fields["report"]
        sys.stdout.write(json.dumps(fields) + "\n")
        return
    stderr_console.print(f"[red]error:[/red] {escape(failure.error)}")
    if failure.fix:
        stderr_console.print(f"[bold]what to do:[/bold] {escape(failure.fix)}")


def _describe_usage_error(error: Exception, command: str) -> Failure:
    context = getattr(error, "ctx", None)
    where = str(getattr(context, "command_path", "") or command)
    message = str(getattr(error, "format_message", error.__str__)())
    return Failure(message, where, "", f"See its options: {where} --help", ExitCode.DIFFERENCE)


def _cause(error: BaseException) -> str:
    """The text of the error that this one was raised from."""
    return _text(error.__cause__) if error.__cause__ else ""


def _text(value: object) -> str:
    """One line of an error's or a program's own words; the last 500 characters."""
    words = value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
    return " ".join(words.split())[-500:]


def _write_report(error: BaseException) -> Path:
    text = "".join(traceback.format_exception(error))
    name = f"slipway-error-{datetime.now(UTC):%Y%m%d-%H%M%S}.txt"
    try:
        folder = run_dir() / "log"
        folder.mkdir(exist_ok=True)
        file = folder / name
        file.write_text(text, encoding="utf-8")
    except (OSError, SlipwayError):
        file = Path(tempfile.gettempdir()) / name
        file.write_text(text, encoding="utf-8")
    return file
