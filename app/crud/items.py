"""Statements on items. `owner` None: all users' items, for admins."""

import re
import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Boolean, Integer, Select, bindparam, delete, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.database import CompiledQuery, Reader, Row
from app.models import Item, utc_now

_COLUMNS = tuple(Item.__table__.columns)
_READ = CompiledQuery(
    select(*_COLUMNS).where(
        Item.id == bindparam("item"),
        or_(Item.owner_id == bindparam("owner"), bindparam("everybody", type_=Boolean)),
    )
)
FILTERS = {
    "status": Item.status == bindparam("status"),
    "search": Item.title.ilike(bindparam("search"), escape="\\"),
}
"""By the names of ItemQuery's fields: a new filter is a field there and a line here."""


async def read(reader: Reader, item_id: uuid.UUID, *, owner: uuid.UUID | None) -> Row | None:
    """An item."""
    return await reader.row(_READ, {"item": item_id, "owner": owner, "everybody": owner is None})


async def page(
    reader: Reader,
    *,
    owner: uuid.UUID | None,
    filters: Mapping[str, Any],
    sort: str,
    after: tuple[Any, uuid.UUID] | None,
    limit: int,
) -> Sequence[Row]:
    """A page of items, sorted by a column; from its largest value on with a minus sign before its name."""
    statement = _page(owner is None, frozenset(filters), sort, after is None)
    value, item = after or (None, None)
    return await reader.rows(
        statement, {**_values(filters), "owner": owner, "value": value, "item": item, "limit": limit}
    )


async def count(reader: Reader, *, owner: uuid.UUID | None, filters: Mapping[str, Any]) -> int:
    """How many such items there are on all pages."""
    total = await reader.value(_count(owner is None, frozenset(filters)), {**_values(filters), "owner": owner})
    return int(total)


def _values(filters: Mapping[str, Any]) -> Row:
    """What is searched for, as a pattern of LIKE that means this very text."""
    values = dict(filters)
    if "search" in values:
        values["search"] = "%" + re.sub(r"([\\%_])", r"\\\1", values["search"]) + "%"
    return values


@cache  # each form of the question is compiled once
def _page(everybody: bool, filters: frozenset[str], sort: str, first: bool) -> CompiledQuery:
    statement = _selected(select(*_COLUMNS), everybody, filters).limit(bindparam("limit", type_=Integer))
    column: Any = getattr(Item, sort.removeprefix("-"))
    descending = sort.startswith("-")
    if not first:
        here = tuple_(column, Item.id)
        there = tuple_(bindparam("value", type_=column.type), bindparam("item", type_=Item.id.type))
        statement = statement.where(here < there if descending else here > there)
    return CompiledQuery(statement.order_by(*((column.desc(), Item.id.desc()) if descending else (column, Item.id))))


@cache
def _count(everybody: bool, filters: frozenset[str]) -> CompiledQuery:
    return CompiledQuery(_selected(select(func.count(Item.id).label("total")), everybody, filters))


def _selected(statement: Select[Any], everybody: bool, filters: frozenset[str]) -> Select[Any]:
    if not everybody:
        statement = statement.where(Item.owner_id == bindparam("owner"))
    return statement.where(*(FILTERS[name] for name in sorted(filters)))


async def change(session: AsyncSession, item_id: uuid.UUID, *, version: int, values: Row) -> Row | None:
    """Change an item if it still has this version; None when another request was quicker."""
    statement = (
        update(Item)
        .where(Item.id == item_id, Item.version == version)
        .values(**values, version=Item.version + 1, updated_at=utc_now())
        .returning(*_COLUMNS)
    )
    row = (await session.execute(statement)).mappings().one_or_none()
    return None if row is None else dict(row)


async def remove(session: AsyncSession, item_id: uuid.UUID, *, version: int) -> bool:
    """Delete an item if it still has this version."""
    statement = delete(Item).where(Item.id == item_id, Item.version == version).returning(Item.id)
    return await session.scalar(statement) is not None
