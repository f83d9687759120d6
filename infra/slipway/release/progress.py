"""Reports the progress of a release in Pulumi's output."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pulumi  # not at run time: it costs commands half a second

ProgressReporter = Callable[[str], None]


def create_progress_reporter(resource: pulumi.Resource | None = None) -> ProgressReporter:
    """Returns a function that reports a line from any thread; `resource`: the resource that Pulumi shows it on."""
    import pulumi

    loop = asyncio.get_running_loop()

    def say(line: str) -> None:
        loop.call_soon_threadsafe(pulumi.log.info, line, resource)

    return say
