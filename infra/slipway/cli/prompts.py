"""Options that commands share, and the confirmation before a destructive step."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show the changes, and apply none.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirm(question: str, yes: bool) -> None:
    """Asks for confirmation at a terminal, unless `yes`. Does not ask without a terminal. Exits on a no."""
    if not yes and sys.stdin.isatty():
        typer.confirm(question, abort=True, err=True)
