"""Before something is changed that is not easily changed back: a person is asked, a program is not."""

from __future__ import annotations

import sys

import typer


def confirm(question: str, yes: bool) -> None:
    """Ask a person at a terminal; a program is not asked, and neither is who says `--yes`. A no ends the command."""
    if not yes and sys.stdin.isatty():
        typer.confirm(question, abort=True, err=True)
