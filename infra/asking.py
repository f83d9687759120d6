"""What commands have in common: their options, and that a person is asked before what is not easily changed back."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Look at everything, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirm(question: str, yes: bool) -> None:
    """Ask a person at a terminal; a program is not asked, and neither is who says `--yes`. A no ends the command."""
    if not yes and sys.stdin.isatty():
        typer.confirm(question, abort=True, err=True)
