"""What a command says before it acts: what it will do, to which stack, in which account and region, as whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.cli.console import stderr_console

if TYPE_CHECKING:  # the command line starts faster without it
    from slipway.release.deployed_stack import DeployedStack


def announce(stack: DeployedStack, action: str) -> None:
    """Print the action, such as `Restarting web`, with stack, account, region and profile, on standard error."""
    _, _, _, region, account, *_ = stack.cluster.split(":")
    profile = f", profile {stack.aws.profile}" if stack.aws.profile else ""
    stderr_console.print(f"{action} of {stack.name} in the account {account} ({region}{profile}).", markup=False)


def print_progress(line: str) -> None:
    """Print a line of progress on standard error."""
    stderr_console.print(line, markup=False)
