"""Pages of lists over the wire."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter


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
