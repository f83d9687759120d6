"""`slipway pause` and `resume`: an environment without tasks and database, and its return."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from slipway.cli.completion import complete_stacks
from slipway.cli.console import stdout_console
from slipway.cli.prompts import JsonOption, YesOption, confirm
from slipway.cli.stack_notice import announce, print_progress
from slipway.config.errors import SlipwayError
from slipway.pipeline.stack_access import open_local_or_aws_stack

if TYPE_CHECKING:  # the command line starts faster without it
    from slipway.release.deployed_stack import DeployedStack

StackArgument = Annotated[
    str, typer.Argument(help="A deployed environment: local, dev, staging.", autocompletion=complete_stacks)
]


def pause(
    stack: StackArgument,
    confirm_prod: Annotated[
        str, typer.Option("--confirm-prod", help="The stack's name a second time, for one of tier prod.")
    ] = "",
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Stop an environment and its previews: tasks, schedules, database. Data stays; alarms are silent."""
    from slipway.release.pause import pause_stack, read_tier

    deployed = _open_environment(stack)
    if read_tier(deployed) == "prod" and confirm_prod != stack:
        raise SlipwayError(
            f"{stack} is of tier prod: a pause would end its service. Nothing was changed.",
            f"If you mean it: slipway pause {stack} --confirm-prod {stack}",
        )
    announce(deployed, "Stopping all tasks, schedules and the database, with previews,")
    confirm(f"Pause {stack}? It does not serve until: slipway resume {stack}", yes or as_json)
    mark = pause_stack(deployed, print_progress)
    if as_json:
        sys.stdout.write(json.dumps({"stack": stack, "paused": mark}) + "\n")
        return
    stdout_console.print(f"{stack} is paused since {mark}.", markup=False)
    stdout_console.print(
        "Load balancer, NAT gateways, cache and storage cost as before. AWS starts a stopped database after seven "
        f"days: run it again then. To serve again: slipway resume {stack}",
        markup=False,
    )


def resume(stack: StackArgument, as_json: JsonOption = False) -> None:
    """Start a paused environment and its previews again, and wait until it serves."""
    from slipway.release.pause import resume_stack

    deployed = _open_environment(stack)
    announce(deployed, "Starting the database, tasks and schedules")
    was_paused = resume_stack(deployed, print_progress)
    url = deployed.outputs["url"]
    if as_json:
        sys.stdout.write(json.dumps({"stack": stack, "was_paused": was_paused, "url": url}) + "\n")
    else:
        stdout_console.print(f"{stack} serves at {url}" if was_paused else f"{stack} was not paused.", markup=False)


def _open_environment(stack: str) -> DeployedStack:
    deployed = open_local_or_aws_stack(stack)
    preview = deployed.outputs.get("preview")
    if preview:
        raise SlipwayError(
            f"{stack} is a preview: it pauses with its environment {preview['base']}.",
            f"To end it: slipway preview destroy {stack}",
        )
    return deployed
