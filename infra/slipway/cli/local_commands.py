"""The commands of the stack `local`. Without the extra `local`, each prints how to install it."""

from __future__ import annotations

from collections.abc import Callable

import typer

from slipway.config.local_aws import find_local_aws, require_local_aws

COMMANDS = {
    "up": "Deploy the stack `local` on this machine.",
    "status": "Show the running services of the stack `local`.",
    "doctor": "Check this machine's requirements.",
    "clean": "Remove the caches of images and downloads.",
    "env": "Print the variables that make plain `pulumi` work on the stack `local`.",
}
"""Commands of the extra `local` -> the help text shown where it is not installed."""


def add_commands(app: typer.Typer) -> None:
    """Adds up, down, status, doctor, clean and env."""
    local_aws = find_local_aws()
    if local_aws:
        local_aws.add_commands(app)
    else:
        for name, help_text in COMMANDS.items():
            app.command(name, help=f"{help_text} Needs slipway-kit[local].")(_refuse(name))
    app.command()(down)


def down() -> None:
    """Destroy the stack `local` and stop its emulator and containers."""
    from slipway.previews.destroy_guard import ensure_no_local_previews

    local_aws = require_local_aws("`slipway down`")
    ensure_no_local_previews(local_aws)
    local_aws.down()


def _refuse(name: str) -> Callable[[], None]:
    def command() -> None:
        require_local_aws(f"`slipway {name}`")

    return command
