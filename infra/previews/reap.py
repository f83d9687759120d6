"""What is to go: past its time, or of a pull request that is closed. A stack that is not surely a preview stays."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from infra.previews.guard import EXPIRES, KIND, NAME, PREVIEW, Seen, refusal
from infra.previews.lifetime import past
from infra.previews.names import is_ours

PULL_REQUEST = re.compile(r"^(?:pr|mr)-(\d+)$")


@dataclass(frozen=True)
class Decision:
    """What is done with a stack, and why."""

    stack: str
    action: Literal["destroy", "keep", "refuse"]
    why: str

    def json(self) -> dict[str, Any]:
        """For a program."""
        return asdict(self)


def decide(seen: Iterable[Seen], base: str, now: datetime, open_prs: set[int] | None = None) -> list[Decision]:
    """For each stack that looks like a preview of `base` in any way; of others nothing is said.

    `open_prs`: the numbers of the pull requests that are open; None: nobody knows.
    """
    return [
        _decide(each, base, now, open_prs) for each in seen if is_ours(each.stack) or each.tags.get(KIND) == PREVIEW
    ]


def _decide(seen: Seen, base: str, now: datetime, open_prs: set[int] | None) -> Decision:
    why = refusal(seen, base)
    if why:
        return Decision(seen.stack, "refuse", why)
    number = PULL_REQUEST.match(seen.tags.get(NAME, ""))
    if open_prs is not None and number and int(number[1]) not in open_prs:
        return Decision(seen.stack, "destroy", f"the pull request {number[1]} is not open")
    moment = seen.tags.get(EXPIRES, "")
    try:
        over = past(moment, now)
    except ValueError:
        return Decision(seen.stack, "refuse", f"its tag {EXPIRES} is no moment: {moment!r}")
    return Decision(seen.stack, "destroy" if over else "keep", f"its time {'was over' if over else 'ends'} at {moment}")
