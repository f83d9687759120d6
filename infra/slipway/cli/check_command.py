"""`slipway check`: validates a team's stack files and app.yaml, plans each stack and checks the security controls."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from slipway.cli.completion import complete_stacks
from slipway.cli.console import stdout_console
from slipway.cli.exit_codes import ExitCode
from slipway.cli.prompts import JsonOption
from slipway.config.errors import SlipwayError


def check(
    stacks: Annotated[
        list[str] | None, typer.Argument(help="Names of stack files. Default: all.", autocompletion=complete_stacks)
    ] = None,
    brief: Annotated[bool, typer.Option("--brief", help="Print no accepted exceptions of security controls.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check stack files and app.yaml: values, the plan, AWS security controls. Exits 1 for an error."""
    from slipway.config.stack_config import list_stack_files  # the command line starts faster without it

    results = [_check_stack(stack) for stack in stacks or list_stack_files()]
    if as_json:
        sys.stdout.write(json.dumps({"stacks": results}, indent=2) + "\n")
    else:
        for result in results:
            _print_result(result, brief)
    if any(result["error"] or result["failures"] for result in results):
        raise typer.Exit(ExitCode.ERROR)


def _check_stack(stack: str) -> dict[str, Any]:
    from slipway.config.app_spec.loader import load_app
    from slipway.config.settings import Settings
    from slipway.graph.controls import check_controls
    from slipway.graph.program_run import run_program

    result: dict[str, Any] = {"stack": stack, "error": "", "fix": "", "resources": 0, "failures": [], "exceptions": []}
    try:
        settings = Settings.from_files(stack)
        if settings.kind != "environment":
            return result
        load_app(settings)
        states = run_program(stack, invent_outputs=True)
    except SlipwayError as error:
        return result | {"error": error.message, "fix": error.fix}
    findings = check_controls(states, settings.tier, datetime.now(UTC).date())
    accepted = {finding.control.id: finding.exception for finding in findings if finding.exception}
    return result | {
        "resources": sum(1 for state in states if state["custom"]),
        "failures": [
            {"control": f.control.id, "title": f.control.title, "resource": f.resource, "actual": str(f.actual)}
            for f in findings
            if not f.exception
        ],
        "exceptions": [
            {"control": e.id, "reason": e.reason, "owner": e.owner, "until": e.until.isoformat()}
            for e in accepted.values()
        ],
    }


def _print_result(result: dict[str, Any], brief: bool) -> None:
    stack = result["stack"]
    if result["error"]:
        stdout_console.print(f"[red]wrong[/red]  {stack}")
        stdout_console.print(f"       {result['error']}", markup=False)
        stdout_console.print(f"       {result['fix']}", markup=False)
        return
    if not result["resources"]:
        stdout_console.print(f"[green]ok[/green]     {stack}: settings of previews")
        return
    verdict = "[red]wrong[/red] " if result["failures"] else "[green]ok[/green]    "
    stdout_console.print(
        f"{verdict} {stack}: {result['resources']} resources, {len(result['exceptions'])} accepted exceptions"
    )
    for failure in result["failures"]:
        stdout_console.print(
            f"       {failure['control']} {failure['title']}: {failure['resource']} has {failure['actual']}",
            markup=False,
        )
    for exception in () if brief else result["exceptions"]:
        stdout_console.print(
            f"       {exception['control']} until {exception['until']}: {exception['reason']}", markup=False
        )
