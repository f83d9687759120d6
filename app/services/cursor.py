"""Cursors of lists: where a page ended, as an opaque text that nobody but this app makes."""

import base64
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from app.core.errors import Problem
from app.core.text import storable


def moment(text: str) -> datetime:
    """A time in a cursor, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def encode(*values: Any) -> str:
    """Where a page ended."""
    texts = [value.isoformat() if isinstance(value, datetime) else str(value) for value in values]
    return base64.urlsafe_b64encode(json.dumps(texts).encode()).decode()


def decode(cursor: str | None, kind: Callable[[str], Any]) -> tuple[Any, uuid.UUID] | None:
    """The value that the list is sorted by, read by `kind`, and the identifier; a 422 for what `encode` never made."""
    if cursor is None:
        return None
    try:
        value, id = json.loads(base64.urlsafe_b64decode(cursor))
        return kind(storable(value)), uuid.UUID(id)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise Problem(422, "The cursor is not one that this API gave.") from None
