"""Pages of lists over the wire."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter


class Page:
    """One page: its items as JSON, the cursor of the next one, and how many there are in all, if that was asked for.
    Rendered as a plain list with a `Link` and an `X-Total-Count` header."""

    def __init__(
        self, kind: type[BaseModel], rows: Sequence[Any], cursor: str | None, total: int | None = None
    ) -> None:
        self.cursor, self.total = cursor, total
        items = _adapter(kind)
        self.json = items.dump_json(items.validate_python(rows, from_attributes=True))


_adapters: dict[type[BaseModel], TypeAdapter[Any]] = {}


def _adapter(kind: type[BaseModel]) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(list[kind])  # type: ignore[valid-type]  # a type that is known at run time
    return _adapters[kind]
