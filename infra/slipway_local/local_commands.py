"""The commands of the stack `local`, and of this machine."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from slipway.cli.console import stdout_console
from slipway.cli.exit_codes import ExitCode
from slipway.cli.prompts import JsonOption

TASK_ID_LENGTH = 8
DIGEST_LENGTH = len("sha256:") + 12
"""How much of both names one: the whole is in `slipway status --json`."""


def up(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the engine's whole output.")] = False,
) -> None:
    """Deploy the stack `local` on this machine; sets up whatever is missing."""
    from slipway_local import up_down

    up_down.up(verbose=verbose)


def status(as_json: JsonOption = False) -> None:
    """Show what runs in the stack `local`. Exits 1 when the app does not answer, 2 when something else is wrong."""
    from slipway_local.ownership import emulator_port, ensure_own_local_aws
    from slipway_local.session import open_session
    from slipway_local.status import EXIT_CODES, read_status

    ensure_own_local_aws(emulator_port(), ignore_default=True)
    environment = read_status(lambda: open_session(ignore_default_port=True))
    if as_json:
        sys.stdout.write(json.dumps(environment.as_json(), indent=2) + "\n")
    else:
        color = {"healthy": "green", "degraded": "yellow", "down": "red"}[environment.health]
        stdout_console.print(f"stack     {environment.stack}: [{color}]{environment.health}[/{color}]")
        for trouble in environment.troubles:
            stdout_console.print(f"          {trouble}", markup=False)
        stdout_console.print(f"url       {environment.url or '-'}{'  answers' if environment.answers else ''}")
        stdout_console.print(f"image     {environment.image_digest or '-'}")
        stdout_console.print(f"emulator  {environment.emulator}")
        table = Table("task", "health", "image digest", box=None)
        for task in environment.tasks:
            table.add_row(task.id[:TASK_ID_LENGTH], task.health, task.image_digest[:DIGEST_LENGTH])
        stdout_console.print(table)
        for service in environment.services:
            stdout_console.print(
                f"service   {service.name}: {service.healthy} of {service.desired}, {service.rollout}", markup=False
            )
        for store in environment.stores:
            stdout_console.print(f"store     {store.name}: {store.state}")
        if environment.firewall_obstacle:
            stdout_console.print(
                "Security groups decide between the load balancer and its targets only; between containers they are"
                f" not enforced here: {environment.firewall_obstacle}.",
                markup=False,
            )
        if environment.not_emulated:
            stdout_console.print("Kept in the state only, for the emulator has nothing like it:")
            for urn in environment.not_emulated:
                stdout_console.print(f"  {urn}")
    raise typer.Exit(EXIT_CODES[environment.health])


def doctor() -> None:
    """Check what this machine needs, and name the command that installs each missing item."""
    from slipway_local.doctor import run_checks

    checks = run_checks()
    for check in checks:
        mark = "[green]ok     [/green]" if check.is_ok else "[red]missing[/red]"
        stdout_console.print(f"{mark} {check.name}: {escape(check.actual)}")
        if not check.is_ok:
            stdout_console.print(f"        fix: {escape(check.fix)}")
    if not all(check.is_ok for check in checks):
        raise typer.Exit(ExitCode.ERROR)


def clean() -> None:
    """Remove the caches: images built or stood in for here, the pulumi in the cache, downloads."""
    from slipway_local import clean

    clean.remove_caches()


def env() -> None:
    """Print the variables that make plain `pulumi` work on the stack `local`: eval "$(slipway env)"."""
    from slipway_local.session import open_session

    sys.stdout.write(open_session().exports() + "\n")
