"""Estimates a preview's daily cost with the prices of `slipway cost`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.graph import cost

DAYS_PER_MONTH = 365 / 12
"""Days of AWS's billing month of 730 hours."""


def estimate_daily_cost(resources: Sequence[Mapping[str, Any]]) -> float:
    """Returns USD a day of the resources of a state, without the shared ones of its environment."""
    graph = [
        cost.PricedResource(r["type"], r["urn"].rsplit("::", 1)[-1], r["inputs"])
        for r in resources
        if r["type"].startswith("aws:")
    ]
    return round(sum(line.total for line in cost.calculate_idle_cost(graph)) / DAYS_PER_MONTH, 3)
