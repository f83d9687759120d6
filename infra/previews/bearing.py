"""An environment that bears previews is not destroyed under them."""

from __future__ import annotations

from infra.errors import SlipwayError
from infra.local import engine as local_engine
from infra.local.emulator import process as emulator
from infra.previews.engine import open_engine
from infra.previews.guard import BASE


def refuse_while_it_bears_previews(base: str) -> None:
    """Of this machine's own. Raises `SlipwayError` with their names while there are any."""
    if not emulator.running() or not local_engine.stack_exists(base):
        return  # what stood there has ended with the local AWS
    found = open_engine(base).stacks("--tag", f"{BASE}={base}")
    if found:
        raise SlipwayError(
            f"{len(found)} previews stand on {base}: {', '.join(sorted(found))}.",
            "slipway preview destroy each of them, or all: slipway preview reap --at 2100-01-01T00:00:00+00:00",
        )
