"""Selects previews to destroy: expired ones, and those of closed pull requests. Refuses doubtful stacks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from slipway.previews.identity import StackSnapshot, why_not_a_preview
from slipway.previews.preview_names import is_preview_stack_name
from slipway.previews.stack_tags import EXPIRES_TAG, KIND_TAG, NAME_TAG, PREVIEW_KIND
from slipway.previews.ttl import is_expired

PULL_REQUEST_PATTERN = re.compile(r"^(?:pr|mr)-(\d+)$")


@dataclass(frozen=True)
class ReapDecision:
    """The action for a stack, and the reason."""

    stack: str
    action: Literal["destroy", "keep", "refuse"]
    why: str

    def json(self) -> dict[str, Any]:
        """Returns the object of `--json`."""
        return asdict(self)


def decide_reaping(
    snapshots: Iterable[StackSnapshot], base: str, now: datetime, open_prs: set[int] | None = None
) -> list[ReapDecision]:
    """Returns a decision for each stack that looks like a preview of `base`.

    `open_prs`: the numbers of open pull requests; None if unknown.
    """
    return [
        _decide_stack(snapshot, base, now, open_prs)
        for snapshot in snapshots
        if is_preview_stack_name(snapshot.stack) or snapshot.tags.get(KIND_TAG) == PREVIEW_KIND
    ]


def _decide_stack(snapshot: StackSnapshot, base: str, now: datetime, open_prs: set[int] | None) -> ReapDecision:
    why = why_not_a_preview(snapshot, base)
    if why:
        return ReapDecision(snapshot.stack, "refuse", why)
    number = PULL_REQUEST_PATTERN.match(snapshot.tags.get(NAME_TAG, ""))
    if open_prs is not None and number and int(number[1]) not in open_prs:
        return ReapDecision(snapshot.stack, "destroy", f"the pull request {number[1]} is not open")
    moment = snapshot.tags.get(EXPIRES_TAG, "")
    try:
        has_expired = is_expired(moment, now)
    except ValueError:
        return ReapDecision(snapshot.stack, "refuse", f"its tag {EXPIRES_TAG} is not a time: {moment!r}")
    action: Literal["destroy", "keep"] = "destroy" if has_expired else "keep"
    return ReapDecision(snapshot.stack, action, f"it {'expired' if has_expired else 'expires'} at {moment}")
