"""`slipway restart`, `scale` and `open`: on the running services of a deployed stack."""

from __future__ import annotations

import json
import sys
import webbrowser
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from slipway.cli.completion import complete_processes, complete_stacks
from slipway.cli.console import stderr_console, stdout_console
from slipway.cli.prompts import JsonOption, YesOption, confirm
from slipway.cli.stack_notice import announce, print_progress
from slipway.config.errors import SlipwayError
from slipway.pipeline.stack_access import export_local_environment, open_local_or_aws_stack

if TYPE_CHECKING:  # the command line starts faster without it
    from slipway.release.restart import ProcessResult

StackArgument = Annotated[
    str,
    typer.Argument(help="A deployed stack: local, dev, staging, prod, or a preview's.", autocompletion=complete_stacks),
]


def restart(
    stack: StackArgument,
    process: Annotated[
        list[str] | None,
        typer.Option(
            "--process",
            "-p",
            help="web, worker ...; several times for several; else all.",
            autocompletion=complete_processes,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Replace the running tasks by new ones of the same image and configuration, and verify that they serve."""
    from slipway.release.pause import ensure_not_paused
    from slipway.release.process_services import select_processes
    from slipway.release.restart import restart_processes

    deployed = open_local_or_aws_stack(stack)
    names = select_processes(deployed, process or [])
    announce(deployed, f"Restarting {', '.join(names)}")
    ensure_not_paused(deployed.aws, deployed.cluster, deployed.name)
    _print_results(stack, restart_processes(deployed, names, print_progress), as_json)


def scale(
    stack: StackArgument,
    tasks: Annotated[list[str], typer.Argument(help="Process and number of tasks: web=4 worker=2.")],
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run another number of tasks, until the next `up`: it restores the number of the stack file."""
    from slipway.release.pause import ensure_not_paused
    from slipway.release.process_services import select_processes
    from slipway.release.scale import parse_task_counts, scale_processes

    counts = parse_task_counts(tasks)
    deployed = open_local_or_aws_stack(stack)
    if "preview" in deployed.outputs:
        raise SlipwayError(
            f"{stack} is a preview, which has one task.", "To try several: an environment, or `tasks` of its stack file"
        )
    select_processes(deployed, list(counts))
    wanted = ", ".join(f"{name} to {count}" for name, count in counts.items())
    announce(deployed, f"Scaling {wanted}")
    ensure_not_paused(deployed.aws, deployed.cluster, deployed.name)
    confirm(f"Scale {wanted}? The database must have connections for them.", yes or as_json)
    results = scale_processes(deployed, counts, print_progress)
    _print_results(stack, results, as_json)
    stderr_console.print(
        f"The stack file wins at the next `up`. To keep it: `processes` in stacks/Pulumi.{stack}.yaml", markup=False
    )


def open_(
    stack: StackArgument,
    as_json: JsonOption = False,
) -> None:
    """Print the address of a stack, and open it in the browser of this machine, where it has one."""
    from slipway.release.deployed_stack import read_stack_outputs

    export_local_environment(stack)
    url = read_stack_outputs(stack)["url"]
    if as_json:
        sys.stdout.write(json.dumps({"stack": stack, "url": url}) + "\n")
        return
    stdout_console.print(url, markup=False)
    if sys.stdout.isatty() and not webbrowser.open(url):
        stderr_console.print("No browser was found on this machine.")


def _print_results(stack: str, results: Sequence[ProcessResult], as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"stack": stack, "processes": [result.json() for result in results]}) + "\n")
        return
    for result in results:
        definition = result.task_definition.rsplit("/", 1)[-1]
        stdout_console.print(
            f"{result.process}: {result.tasks} tasks of {definition} serve, after {result.seconds:.0f} s."
        )
