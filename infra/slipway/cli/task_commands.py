"""`slipway run` and `exec`: one-off tasks, and commands in running ones."""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from slipway.cli.command_words import command_words
from slipway.cli.completion import complete_processes, complete_stacks
from slipway.cli.console import stderr_console, stdout_console
from slipway.cli.prompts import JsonOption
from slipway.config.errors import SlipwayError
from slipway.pipeline.stack_access import export_local_environment, open_local_or_aws_stack

if TYPE_CHECKING:
    from slipway.release.deployed_stack import DeployedStack
    from slipway.release.logs import LogTail
    from slipway.release.one_off_task import OneOffTask

StackArgument = Annotated[
    str,
    typer.Argument(
        help="A deployed stack or preview: local, dev, staging, prod, pr-42.", autocompletion=complete_stacks
    ),
]
BaseOption = Annotated[
    str,
    typer.Option("--base", help="A preview's environment, for a preview on `local`.", autocompletion=complete_stacks),
]


def run(
    context: typer.Context,
    stack: StackArgument,
    name: Annotated[
        str, typer.Argument(metavar="PROCESS", help="A scheduled or manual process, whose own command runs.")
    ] = "",
    process: Annotated[
        str,
        typer.Option(
            "--process",
            "-p",
            help="The process whose image, role, secrets and network it gets: web.",
            autocompletion=complete_processes,
        ),
    ] = "",
    release: Annotated[
        bool, typer.Option("--release", help="Run it as the release step, which may change the schema.")
    ] = False,
    cpu: Annotated[int, typer.Option(help="CPU units instead of the process's, 1024 to a vCPU.", min=0)] = 0,
    memory: Annotated[int, typer.Option(help="MiB instead of the process's.", min=0)] = 0,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when it is started.")] = False,
    base: BaseOption = "",
    as_json: JsonOption = False,
) -> None:
    """Run a command once, in a task of its own, of the running release; follow its log and end with its exit code.

    Ctrl-C stops the task. The command stands behind `--`; a scheduled or manual process of app.yaml has one already.
    """
    from slipway.release.one_off_task import INTERRUPTED_EXIT_CODE, RunRequest, plan_one_off_task, start_one_off_task

    if name and process:
        raise SlipwayError(f"{name} and --process {process} contradict each other.", "Name the process once.")
    export_local_environment(base)
    deployed = open_local_or_aws_stack(stack)
    request = RunRequest(name or process, command_words(context), release, cpu, memory)
    task = plan_one_off_task(deployed, request)
    stderr_console.print(task.describe(deployed), markup=False)
    started = time.monotonic()
    arn = start_one_off_task(deployed, task)
    task_id = arn.rpartition("/")[2]
    answer: dict[str, str | int | float] = {"stack": stack, "process": task.process, "task": arn}
    if detach:
        if as_json:
            sys.stdout.write(json.dumps(answer) + "\n")
        else:
            stdout_console.print(f"Started {task_id}. Its lines: slipway logs {stack} -p {task.process} --follow")
        return
    code = _follow(deployed, task, arn, as_json=as_json)
    if as_json:
        answer |= {"exitCode": code, "seconds": round(time.monotonic() - started, 1)}
        sys.stdout.write(json.dumps(answer) + "\n")
    elif code and code != INTERRUPTED_EXIT_CODE:
        stderr_console.print(f"{task.process} ended with exit code {code} (task {task_id}).")
    raise typer.Exit(code)


def _follow(stack: DeployedStack, task: OneOffTask, arn: str, *, as_json: bool) -> int:
    """Follows the task to its end; Ctrl-C stops it, and a second one leaves it to ECS."""
    from slipway.release.one_off_task import INTERRUPTED_EXIT_CODE, follow_one_off_task, stop_one_off_task

    console = stderr_console if as_json else stdout_console

    def say(line: str) -> None:
        console.print(line, markup=False)

    tails: dict[str, LogTail] = {}
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a pipeline that is cancelled
    try:
        return follow_one_off_task(stack, task, arn, say, tails=tails)
    except KeyboardInterrupt:
        stderr_console.print("Stopping the task. Once more Ctrl-C leaves that to ECS.")
    stop_one_off_task(stack, arn)
    try:
        follow_one_off_task(stack, task, arn, say, tails=tails)
    except SlipwayError as error:  # it was stopped before it ran
        stderr_console.print(error.message, markup=False)
    stderr_console.print(f"The task {arn.rpartition('/')[2]} was stopped.")
    return INTERRUPTED_EXIT_CODE


def exec_(
    context: typer.Context,
    stack: StackArgument,
    process: Annotated[
        str,
        typer.Option(
            "--process", "-p", help="The process in whose task it runs: web.", autocompletion=complete_processes
        ),
    ] = "",
    task: Annotated[str, typer.Option("--task", "-t", help="The task, by its id or how that begins.")] = "",
    base: BaseOption = "",
) -> None:
    """Open a shell, or run a command, in a running task; end with the command's exit code.

    Needs `exec: true` in the stack file, which tier dev has by default, and on AWS the session-manager-plugin.
    """
    from slipway.release.exec_session import run_in_container
    from slipway.release.exec_target import find_exec_target
    from slipway.release.session_client import require_session_client

    export_local_environment(base)
    deployed = open_local_or_aws_stack(stack)
    target = find_exec_target(deployed, process, task)
    require_session_client(deployed)
    words = command_words(context)
    stderr_console.print(
        f"{'Running a command' if words else 'A shell'} in {target.container} of the task {target.task_id}, {stack}, "
        f"account {deployed.aws.account} ({deployed.aws.session.region_name})",
        markup=False,
    )
    raise typer.Exit(run_in_container(deployed, target, words))
