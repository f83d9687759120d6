"""A deployed stack for a command."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line starts faster without it
    from infra.release.stack import Stack


def opened(stack: str, profile: str = "") -> Stack:
    """A deployed stack, with this machine's own variables where it is the local one; `profile`: see `open_stack`."""
    from infra.local.session import STACK, open_session
    from infra.release.stack import open_stack

    if stack == STACK:
        os.environ.update(open_session().environ())
    return open_stack(stack, profile)
