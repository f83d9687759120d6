"""`slipway logs`: prints the logs of a stack's processes, on AWS or on this machine."""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import typer

from slipway.cli.completion import complete_processes, complete_stacks
from slipway.config.errors import SlipwayError
from slipway.config.local_aws import find_local_aws
from slipway.config.project import project_name
from slipway.pipeline.stack_access import export_local_environment, open_local_or_aws_stack

SINCE_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class LogQuery:
    """Selects the log lines to print."""

    processes: tuple[str, ...] = ()
    since: str = ""
    grep: str = ""
    lines: int = 100
    follow: bool = False


def logs(
    stack: Annotated[
        str,
        typer.Argument(
            help="A deployed stack or preview; or `emulator`, `docker`: logs of the local AWS.",
            autocompletion=complete_stacks,
        ),
    ] = "local",
    process: Annotated[
        list[str] | None,
        typer.Option(
            "--process",
            "-p",
            help="web, worker, release, prometheus ... Can be repeated.",
            autocompletion=complete_processes,
        ),
    ] = None,
    since: Annotated[str, typer.Option(help="All lines of the last 15m, 2h, 3d. Default: the last --lines.")] = "",
    grep: Annotated[str, typer.Option(help="Only lines that match this regular expression.")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="Number of last lines.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow new lines until Ctrl-C.")] = False,
    base: Annotated[
        str,
        typer.Option(
            help="The base environment, for a preview named by its branch or on `local`.",
            autocompletion=complete_stacks,
        ),
    ] = "",
) -> None:
    """Show the logs of all processes of a stack, the newest line last; one JSON object a line when piped."""
    if base:
        from slipway.previews.preview_names import preview_stack_name

        stack = preview_stack_name(stack, project_name())
    show_logs(stack, LogQuery(tuple(process or ()), since, grep, lines, follow), base=base)


def show_logs(stack: str, query: LogQuery, *, base: str = "") -> None:
    """Prints the lines, and follows new ones if the query says so. Ctrl-C and a closed pipe (`| head`) end it.

    Raises:
        SlipwayError: the stack, a process or the regular expression is unknown or invalid.
    """
    try:
        _show_logs(stack, query, base)
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # At exit, Python would flush the closed pipe and report the error again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_logs(stack: str, query: LogQuery, base: str) -> None:
    from slipway.release.log_events import LogReader
    from slipway.release.log_lines import LogPrinter

    local_aws = find_local_aws()
    if local_aws and stack in local_aws.log_files:
        local_aws.print_log_file(stack, lines=query.lines, follow=query.follow)
        return
    seconds = parse_since_seconds(query.since) if query.since else 0
    failure = local_aws.read_failure_logs(query.lines) if local_aws and stack == local_aws.stack else []
    if failure:
        sys.stdout.write("\n".join(failure) + "\n")
        return
    export_local_environment(base)
    deployed = open_local_or_aws_stack(stack)
    groups = dict(deployed.outputs["logGroups"])
    if query.processes:  # logs of monitoring are shown only if named
        groups |= deployed.outputs.get("monitoring", {}).get("logGroups", {})
    logs = LogReader(deployed.aws, groups, query.processes, query.grep)
    printer = LogPrinter(sys.stdout, [*groups])
    now = time.time()
    if not seconds:
        printer.show(logs.last(query.lines))
    elif not query.follow:
        printer.show(logs.since(now - seconds))
    if query.follow:
        for events in logs.follow(now - seconds if seconds else None):
            printer.show(events)


def parse_since_seconds(text: str) -> float:
    """`90s`, `15m`, `2h`, `3d`, `1w` in seconds. Raises `SlipwayError` for anything else."""
    match = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip())
    if not match:
        raise SlipwayError(
            f"--since is {text!r}, which is no time.", "Write a number and a unit: 90s, 15m, 2h, 3d or 1w."
        )
    return timedelta(**{SINCE_UNITS[match[2]]: int(match[1])}).total_seconds()
