"""Telling a person how far a release is, on the engine's own output."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pulumi

Say = Callable[[str], None]


def speaker(resource: pulumi.Resource | None = None) -> Say:
    """Tells lines from whatever thread; `resource` is the one that they are shown on."""
    loop = asyncio.get_running_loop()

    def say(line: str) -> None:
        loop.call_soon_threadsafe(pulumi.log.info, line, resource)

    return say
