"""`slipway plan`, `diagram` and `cost`: the resources of a stack file. They need no AWS account."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from slipway.cli.completion import complete_stacks
from slipway.cli.console import stdout_console
from slipway.cli.prompts import JsonOption
from slipway.config.errors import SlipwayError


def plan(
    stack: Annotated[
        str, typer.Argument(help="A stack file's name: dev, staging, prod, local.", autocompletion=complete_stacks)
    ],
    as_json: JsonOption = False,
) -> None:
    """Show the resources that a new stack of a stack file would create, as a tree. Needs no AWS account."""
    from slipway.config.settings import Settings
    from slipway.graph import plan as planner

    found = planner.plan_resources(stack)
    has_exec = Settings.from_files(stack).exec_enabled
    if as_json:
        sys.stdout.write(json.dumps(planner.plan_as_json(stack, found) | {"exec": has_exec}, indent=2) + "\n")
    else:
        sys.stdout.write(planner.format_resource_tree(found))
        stdout_console.print(
            f"{len(found)} resources would be created. ECS Exec (`exec`) is {'on' if has_exec else 'off'}."
        )


def diagram(
    stack: Annotated[
        str, typer.Argument(help="A stack file's name: dev, staging, prod, local.", autocompletion=complete_stacks)
    ],
    file: Annotated[Path | None, typer.Option("--out", help="The SVG file. Default: docs/graphs/STACK.svg.")] = None,
) -> None:
    """Draw a stack file's architecture as SVG. Needs no AWS account."""
    from slipway.config.project import project_root
    from slipway.graph.diagram import build_diagram
    from slipway.graph.plan import plan_states
    from slipway.graph.svg_drawing import draw_svg

    target = file or project_root() / "docs" / "graphs" / f"{stack}.svg"
    drawn = draw_svg(build_diagram(plan_states(stack)))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(drawn, encoding="utf-8")
    stdout_console.print(f"Written to {target}", markup=False)


def cost(
    stack: Annotated[
        str, typer.Argument(help="A stack file's name: dev, staging, prod.", autocompletion=complete_stacks)
    ],
    off_hours: Annotated[
        bool, typer.Option("--off-hours", help="Also what it costs with the stack's offHours, and what they save.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a stack's monthly cost without traffic, line by line, in USD, and the prices of usage."""
    from slipway.graph import cost as bill
    from slipway.graph.plan import list_priced_resources

    share = _running_share(stack) if off_hours else 1.0
    resources = list(list_priced_resources(stack))
    estimate = bill.cost_as_json(stack, resources, bill.read_stack_region(stack))
    if off_hours:
        estimate["off_hours"] = bill.off_hours_cost(resources, share)
    if as_json:
        sys.stdout.write(json.dumps(estimate, indent=2) + "\n")
        return
    table = Table("what", "how many", "each", "USD a month", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for line in estimate["lines"]:
        table.add_row(line["what"], f"{line['how_many']:g}", f"{line['each']:.3f}", f"{line['total']:.2f}")
    table.add_row("[bold]total[/bold]", "", "", f"[bold]{estimate['total']:.2f}[/bold]")
    stdout_console.print(table)
    if off_hours:
        stdout_console.print(
            f"With its off hours, running {share:.0%} of the time: {estimate['off_hours']['total']:.2f} USD a month, "
            f"{estimate['off_hours']['saves']:.2f} less."
        )
    stdout_console.print("Usage costs in addition:")
    for price in estimate["with_use"]:
        stdout_console.print(f"  {price['what']}: {price['price']:g} USD a {price['unit']}")
    for note in bill.cost_notes(estimate):
        stdout_console.print(note)
    stdout_console.print(f"On-demand prices of {estimate['region']}, {estimate['prices_of']}.")


def _running_share(stack: str) -> float:
    """Returns the part of the time in which a stack with off hours runs. Raises `SlipwayError` for one without."""
    from slipway.config.settings import Settings

    hours = Settings.from_files(stack).off_hours
    if hours is None:
        raise SlipwayError(
            f"stacks/Pulumi.{stack}.yaml has no offHours.",
            'Set them: offHours: {stop: "0 20 * * 1-5", start: "0 7 * * 1-5", zone: Europe/Berlin}',
        )
    return hours.running_share
