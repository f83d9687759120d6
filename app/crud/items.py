"""Statements on items. Reads check the caller in the same query: one round trip, and no owner check to forget."""

import uuid
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Integer, Select, bindparam, delete, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import Reader, Row
from app.core.prepared import Prepared
from app.core.security import Caller
from app.models import Item, ItemStatus, User
from app.models.base import utc_now

# The caller's account stands and the token is of its present version.
_STANDING = (User.id == bindparam("caller")) & (User.token_version == bindparam("version")) & User.is_active.is_(True)
_COLUMNS = tuple(Item.__table__.columns)
_READ = Prepared(
    select(*_COLUMNS).where(
        Item.id == bindparam("item"),
        or_(
            Item.owner_id == select(User.id).where(_STANDING).scalar_subquery(),
            select(User.id).where(_STANDING, User.is_admin.is_(True)).exists(),
        ),
    )
)


def _who(caller: Caller) -> dict[str, Any]:
    return {"caller": caller.user_id, "version": caller.token_version}


async def read(reader: Reader, item_id: uuid.UUID, caller: Caller) -> Row | None:
    """An item that the caller may see: their own, or any for an admin."""
    return await reader.row(_READ, {"item": item_id, **_who(caller)})


async def page(
    reader: Reader,
    caller: Caller,
    *,
    status: ItemStatus | None,
    search: str | None,
    sort: str,
    descending: bool,
    after: tuple[Any, uuid.UUID] | None,
    limit: int,
) -> Sequence[Row]:
    """A page of the caller's items, or of all for an admin, sorted by a column."""
    kind = _kind(caller, status, search)
    statement = _page(kind, sort=sort, descending=descending, first=after is None)
    value, item = after or (None, None)
    return await reader.rows(
        statement, {**_values(caller, status, search), "value": value, "item": item, "limit": limit}
    )


async def count(reader: Reader, caller: Caller, *, status: ItemStatus | None, search: str | None) -> int:
    """How many such items there are on all pages."""
    row = await reader.row(_count(_kind(caller, status, search)), _values(caller, status, search))
    return int(row["total"]) if row else 0


class _Kind(NamedTuple):
    """What is asked about the items, without the values: each kind is a statement that is made once."""

    admin: bool
    by_status: bool
    by_title: bool


def _kind(caller: Caller, status: ItemStatus | None, search: str | None) -> _Kind:
    return _Kind(caller.is_admin, status is not None, search is not None)


def _values(caller: Caller, status: ItemStatus | None, search: str | None) -> dict[str, Any]:
    pattern = (search or "").replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return {**_who(caller), "status": status, "pattern": f"%{pattern}%"}


@cache
def _page(kind: _Kind, *, sort: str, descending: bool, first: bool) -> Prepared:
    statement: Select[Any] = _visible(select(*_COLUMNS), kind).limit(bindparam("limit", type_=Integer))
    column: Any = getattr(Item, sort)
    if not first:
        here = tuple_(column, Item.id)
        there = tuple_(bindparam("value", type_=column.type), bindparam("item", type_=Item.id.type))
        statement = statement.where(here < there if descending else here > there)
    return Prepared(statement.order_by(*((column.desc(), Item.id.desc()) if descending else (column, Item.id))))


@cache
def _count(kind: _Kind) -> Prepared:
    return Prepared(_visible(select(func.count(Item.id).label("total")), kind))


def _visible(statement: Select[Any], kind: _Kind) -> Select[Any]:
    """What the caller may see of what is asked for."""
    if kind.admin:
        statement = statement.where(select(User.id).where(_STANDING, User.is_admin.is_(True)).exists())
    else:
        statement = statement.where(Item.owner_id == select(User.id).where(_STANDING).scalar_subquery())
    if kind.by_status:
        statement = statement.where(Item.status == bindparam("status"))
    if kind.by_title:
        statement = statement.where(Item.title.ilike(bindparam("pattern"), escape="\\"))
    return statement


async def change(session: AsyncSession, item_id: uuid.UUID, *, version: int, values: dict[str, Any]) -> Row | None:
    """Change an item if it still has this version; None when somebody was quicker."""
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
    return (await session.execute(statement)).scalar_one_or_none() is not None
