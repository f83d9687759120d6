"""Pages of lists over the wire."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter

from app.core.errors import Problem


class Page:
    """One page: its items, and the cursor of the next one. Rendered as a plain list with a `Link` header."""

    def __init__(self, kind: type[BaseModel], rows: Sequence[Any], cursor: str | None) -> None:
        self.items = [kind.model_validate(row, from_attributes=True) for row in rows]
        self.cursor = cursor
        self.json = _adapter(kind).dump_json(self.items).decode()


_adapters: dict[type[BaseModel], TypeAdapter[Any]] = {}


def _adapter(kind: type[BaseModel]) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(list[kind])  # type: ignore[valid-type]  # a type that is known at run time
    return _adapters[kind]


def encode_cursor(*values: Any) -> str:
    """Where a page ended, as an opaque text."""
    return base64.urlsafe_b64encode(json.dumps(values, default=str).encode()).decode()


def decode_cursor(cursor: str, count: int) -> list[str]:
    """The values of `encode_cursor`; a 422 for what it never made."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor))
    except (ValueError, binascii.Error):
        values = None
    if not isinstance(values, list) or len(values) != count or not all(isinstance(v, str) for v in values):
        raise Problem(422, "The cursor is not one that this API gave.")
    return values
