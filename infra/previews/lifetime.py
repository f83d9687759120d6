"""How long a preview lives after its last update."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from infra.errors import SlipwayError

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DEFAULT = "3d"


def lifetime(text: str) -> timedelta:
    """`90m`, `12h`, `3d`, `2w`. Raises `SlipwayError` for anything else."""
    found = re.fullmatch(r"([1-9]\d{0,3})([mhdw])", text.strip())
    if not found:
        raise SlipwayError(
            f"--expires is {text!r}.", "Write a number and a unit: 90m, 12h, 3d or 2w, from the last update on."
        )
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def end(text: str, now: datetime) -> str:
    """When a preview that is updated `now` ends, in ISO 8601 and UTC."""
    return (now + lifetime(text)).astimezone(UTC).isoformat(timespec="seconds")


def past(moment: str, now: datetime) -> bool:
    """Whether an ISO 8601 moment is over. Raises `ValueError` for what is none, or has no time zone."""
    when = datetime.fromisoformat(moment)
    if when.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return when <= now
