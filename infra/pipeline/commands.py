"""`slipway promote` and `bootstrap`, for a person and for the pipeline alike."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console

from infra.pipeline.opened import opened

out = Console(highlight=False, soft_wrap=True)
steps = Console(stderr=True, highlight=False, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Look at everything, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def promote(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The stack that serves the image: staging.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The stack that gets it: prod.")],
    digest: Annotated[str, typer.Option(help="What FROM has to serve, sha256:...; anything else is refused.")] = "",
    from_profile: Annotated[str, typer.Option(help="An AWS profile for FROM, where it is in another account.")] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Copy what FROM serves into TO's registry, digest and all, and have TO's next `pulumi up` deploy it.

    A digest that FROM does not serve healthily is refused.
    """
    from infra.release import promote as promotion

    found = promotion.find(opened(source, from_profile), opened(target), digest, steps.print)
    steps.print(f"{source} serves {found.digest}.")
    if not dry_run:
        confirm(f"Promote it to {target}?", yes)
    copied = promotion.carry_out(found, dry_run=dry_run)
    if as_json:
        sys.stdout.write(json.dumps(promotion.as_json(found, copied, dry_run=dry_run), indent=2) + "\n")
        return
    if dry_run:
        out.print(f"{copied.blobs} layers would be copied, and imageDigest of {target} set. Nothing was changed.")
        return
    out.print(f"{copied.blobs} layers copied, {copied.bytes / 1e6:.1f} MB; the others were there.")
    out.print(f"imageDigest of {target} is {found.digest}. Next: pulumi up --stack {target}")


def confirm(question: str, yes: bool) -> None:
    """Ask a person at a terminal; a program is not asked, and neither is who says `--yes`. A no ends the command."""
    if not yes and sys.stdin.isatty():
        typer.confirm(question, abort=True, err=True)
