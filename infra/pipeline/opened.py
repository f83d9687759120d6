"""A deployed stack for a command."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line starts faster without it
    from infra.release.stack import Stack


def opened(stack: str, profile: str = "") -> Stack:
    """A deployed stack, with this machine's own variables where it is the local one; `profile`: see `open_stack`."""
    from infra.release.stack import open_stack

    local(stack)
    return open_stack(stack, profile)


def local(stack: str) -> None:
    """From here on this process has this machine's own variables, where the stack is the local one."""
    from infra.local.session import STACK, open_session

    if stack == STACK:
        os.environ.update(open_session().environ())
