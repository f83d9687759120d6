"""The commands of the stack `local`, and of this machine."""

from __future__ import annotations

import json
import sys

import typer
from rich.markup import escape
from rich.table import Table

from infra.asking import Json
from infra.consoles import out


def up() -> None:
    """Deploy the stack `local` on this machine; sets up whatever is missing."""
    from infra.local import environment

    environment.up()


def status(as_json: Json = False) -> None:
    """Show what runs in the stack `local`. Exits 1 when the app does not answer, 2 when something else is wrong."""
    from infra.local.session import open_session
    from infra.local.status import EXIT_CODES, read_status

    found = read_status(open_session())
    if as_json:
        sys.stdout.write(json.dumps(found.as_json(), indent=2) + "\n")
    else:
        color = {"healthy": "green", "degraded": "yellow", "down": "red"}[found.health]
        out.print(f"stack     {found.stack}: [{color}]{found.health}[/{color}]")
        for trouble in found.troubles:
            out.print(f"          {trouble}", markup=False)
        out.print(f"url       {found.url or '-'}{'  answers' if found.answers else ''}")
        out.print(f"image     {found.image_digest or '-'}")
        out.print(f"emulator  {found.emulator}")
        table = Table("task", "health", "image digest", box=None)
        for column in table.columns:
            column.overflow = "fold"
        for task in found.tasks:
            table.add_row(task.id, task.health, task.image_digest)
        out.print(table)
        for service in found.services:
            out.print(
                f"service   {service.name}: {service.healthy} of {service.desired}, {service.rollout}", markup=False
            )
        for store in found.stores:
            out.print(f"store     {store.name}: {store.state}")
        if found.not_emulated:
            out.print("Kept in the state only, for the emulator has nothing like it:")
            for urn in found.not_emulated:
                out.print(f"  {urn}")
    raise typer.Exit(EXIT_CODES[found.health])


def doctor() -> None:
    """Check what this machine needs, and name the command that mends each thing that is missing."""
    from infra.local.doctor import checks

    found = checks()
    for check in found:
        mark = "[green]ok     [/green]" if check.ok else "[red]missing[/red]"
        out.print(f"{mark} {check.name}: {escape(check.found)}")
        if not check.ok:
            out.print(f"        mend it with: {escape(check.fix)}")
    if not all(check.ok for check in found):
        raise typer.Exit(1)


def clean() -> None:
    """Remove the caches: images built or stood in for here, the pulumi in the cache, downloads."""
    from infra.local import clean

    clean.clean()


def env() -> None:
    """Print the variables that make plain `pulumi` work on the stack `local`: eval "$(slipway env)"."""
    from infra.local.session import open_session

    sys.stdout.write(open_session().exports() + "\n")
