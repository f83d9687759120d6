"""What a preview costs a day: its resources with the prices of `slipway cost`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infra.graph import cost

DAYS = 365 / 12
"""Of a month, as its hours are counted."""


def usd_a_day(resources: Sequence[Mapping[str, Any]]) -> float:
    """USD a day of the resources of a state, by day and night; what it shares is its environment's."""
    graph = [
        cost.Resource(r["type"], r["urn"].rsplit("::", 1)[-1], r["inputs"])
        for r in resources
        if r["type"].startswith("aws:")
    ]
    return round(sum(line.total for line in cost.lines(graph)) / DAYS, 3)
