"""Statements on items. Reads check the caller in the same query: one round trip, and no owner check to forget."""

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, or_, select, tuple_, update
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
    statement: Select[Any] = _visible(select(*_COLUMNS), caller, status, search).limit(limit)
    column: Any = getattr(Item, sort)
    if after is not None:
        here = tuple_(column, Item.id)
        statement = statement.where(here < after if descending else here > after)
    order = (column.desc(), Item.id.desc()) if descending else (column, Item.id)
    return await reader.rows(statement.order_by(*order), _who(caller))


async def count(reader: Reader, caller: Caller, *, status: ItemStatus | None, search: str | None) -> int:
    """How many such items there are on all pages."""
    row = await reader.row(_visible(select(func.count(Item.id).label("total")), caller, status, search), _who(caller))
    return int(row["total"]) if row else 0


def _visible(statement: Select[Any], caller: Caller, status: ItemStatus | None, search: str | None) -> Select[Any]:
    """What the caller may see of what is asked for."""
    if caller.is_admin:
        statement = statement.where(select(User.id).where(_STANDING, User.is_admin.is_(True)).exists())
    else:
        statement = statement.where(Item.owner_id == select(User.id).where(_STANDING).scalar_subquery())
    if status is not None:
        statement = statement.where(Item.status == status)
    if search is not None:
        pattern = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        statement = statement.where(Item.title.ilike(f"%{pattern}%", escape="\\"))
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
