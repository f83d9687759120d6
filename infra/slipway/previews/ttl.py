"""Parses a preview's time to live, counted from its last update."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from slipway.config.errors import SlipwayError

TTL_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DEFAULT_TTL = "3d"
MOMENT_EXAMPLE = "Write it in ISO 8601: 2026-01-31T12:00:00+00:00"


def parse_ttl(text: str) -> timedelta:
    """Returns the duration of `90m`, `12h`, `3d` or `2w`. Raises `SlipwayError` for anything else."""
    match = re.fullmatch(r"([1-9]\d{0,3})([mhdw])", text.strip())
    if not match:
        raise SlipwayError(
            f"--expires is {text!r}, which is no duration.",
            "Write a number and a unit: 90m, 12h, 3d or 2w, from the last update.",
        )
    return timedelta(**{TTL_UNITS[match[2]]: int(match[1])})


def compute_expiry(text: str, now: datetime) -> str:
    """Returns the expiry of a preview that is updated `now`, in ISO 8601 and UTC."""
    return (now + parse_ttl(text)).astimezone(UTC).isoformat(timespec="seconds")


def parse_moment(text: str) -> datetime:
    """Parses an ISO 8601 time with a time zone. Raises `SlipwayError` for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SlipwayError(f"--at is {text!r}, which is not a time: {error}.", MOMENT_EXAMPLE) from None
    if moment.tzinfo is None:
        raise SlipwayError(f"--at is {text!r}, which has no time zone.", MOMENT_EXAMPLE)
    return moment


def is_expired(moment: str, now: datetime) -> bool:
    """Whether an ISO 8601 time has passed. Raises `ValueError` for anything else, and without a time zone."""
    when = datetime.fromisoformat(moment)
    if when.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return when <= now
