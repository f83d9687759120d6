"""Opens deployed stacks for commands, including the local one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.config.local_aws import find_local_aws

if TYPE_CHECKING:  # the command line starts faster without it
    from slipway.release.deployed_stack import DeployedStack


def open_local_or_aws_stack(stack: str, profile: str = "") -> DeployedStack:
    """Returns a deployed stack; the local one with the variables of the local AWS.

    `profile`: see `open_stack`. Raises `SlipwayError` as `open_stack` does.
    """
    from slipway.release.deployed_stack import open_stack

    export_local_environment(stack)
    return open_stack(stack, profile)


def export_local_environment(stack: str) -> None:
    """Sets the variables of the local AWS in this process, if the stack is the local one."""
    local_aws = find_local_aws()
    if local_aws and stack == local_aws.stack:
        local_aws.enter()
