"""Items: who may see and change them, versions, and creation that can be repeated."""

import hashlib
import re
import uuid
from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import Boolean, Integer, Select, bindparam, delete, func, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from app.core.cache import user_group
from app.core.db.database import CompiledQuery, Database, UnitOfWork
from app.core.errors import Problem
from app.models import IdempotencyKey, Item, utc_now
from app.schemas.base import Page, decode_cursor, moment
from app.schemas.item import ItemCreate, ItemQuery, ItemRead, ItemUpdate
from app.schemas.user import ActiveUser

Versions = Collection[int] | None
"""Versions of an item that may be changed; None for any."""
MISSING = "There is no such item."
CHANGED = "The item has been changed since you read it."
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


async def read(database: Database, *, user: ActiveUser, item_id: uuid.UUID) -> ItemRead:
    """One item. An item of somebody else is as absent as one that is not there."""
    row = await database.reader.row(_READ, {"item": item_id, "owner": user.id, "everybody": user.is_admin})
    if row is None:
        raise Problem(404, MISSING)
    return ItemRead.model_validate(row)


async def page(database: Database, *, user: ActiveUser, query: ItemQuery) -> Page[ItemRead]:
    """A page of the user's items, or of everybody's for admins."""
    filters = query.model_dump(include=set(FILTERS), exclude_none=True)
    names, values = frozenset(filters), {**filters, "owner": user.id}
    if query.search is not None:
        values["search"] = _containing(query.search)
    column = query.sort.removeprefix("-")
    after = decode_cursor(query.cursor, moment if column == "created_at" else str)
    if after is not None:
        values |= {"value": after[0], "item": after[1]}
    statement = _page(user.is_admin, names, query.sort, after is None)
    rows = await database.reader.rows(statement, {**values, "limit": query.limit})
    total = await database.reader.value(_count(user.is_admin, names), values) if query.count else None
    return Page[ItemRead].of(rows, limit=query.limit, sorted_by=column, total=total)


def _containing(text: str) -> str:
    """LIKE's pattern for what has this very text anywhere."""
    return "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%"


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


async def create(unit: UnitOfWork, *, user: ActiveUser, data: ItemCreate, key: str | None) -> ItemRead:
    """A new item. With a key, the same request again gets the first one's answer and makes nothing."""
    if key is not None:
        request_hash = hashlib.sha256(data.model_dump_json().encode()).hexdigest()
        if not await _claim(unit, user, key, request_hash):
            return await _answer_again(unit, user, key, request_hash)
    item = Item(owner_id=user.id, **data.model_dump())
    unit.session.add(item)
    await unit.session.flush()
    created = ItemRead.model_validate(item)
    if key is not None:
        mine = (IdempotencyKey.user_id == user.id) & (IdempotencyKey.key == key)
        await unit.session.execute(update(IdempotencyKey).where(mine).values(answer=created.model_dump_json()))
    unit.invalidate(user_group(user.id))
    return created


async def _claim(unit: UnitOfWork, user: ActiveUser, key: str, request_hash: str) -> bool:
    """Take a key for this request. False when it is taken; waits for a request that is carried out right now."""
    insert: Any = postgresql.insert if unit.session.get_bind().dialect.name == "postgresql" else sqlite.insert
    values = {"user_id": user.id, "key": key, "request_hash": request_hash}
    statement = insert(IdempotencyKey).values(values).on_conflict_do_nothing().returning(IdempotencyKey.key)
    return await unit.session.scalar(statement) is not None


async def _answer_again(unit: UnitOfWork, user: ActiveUser, key: str, request_hash: str) -> ItemRead:
    claimed = await unit.session.get(IdempotencyKey, (user.id, key))
    if claimed is None or claimed.answer is None:
        raise Problem(409, "A request with this Idempotency-Key is being carried out.")
    if claimed.request_hash != request_hash:
        raise Problem(422, "This Idempotency-Key belongs to another request.")
    return ItemRead.model_validate_json(claimed.answer)


async def change(
    unit: UnitOfWork, *, user: ActiveUser, item_id: uuid.UUID, data: ItemUpdate, versions: Versions
) -> ItemRead:
    """Change an item that still has one of these versions. Nothing to change is no new version."""
    item = await _for_change(unit, user, item_id, versions)
    values = data.changes()
    if not values:
        return ItemRead.model_validate(item)
    # The version in the statement as well: of two at once one finds no row.
    statement = (
        update(Item)
        .where(Item.id == item_id, Item.version == item.version)
        .values(**values, version=Item.version + 1, updated_at=utc_now())
        .returning(*_COLUMNS)
    )
    row = (await unit.session.execute(statement)).mappings().one_or_none()
    if row is None:
        raise Problem(412, CHANGED)
    unit.invalidate(user_group(item.owner_id))
    return ItemRead.model_validate(row)


async def delete_item(unit: UnitOfWork, *, user: ActiveUser, item_id: uuid.UUID, versions: Versions) -> None:
    """Delete an item that still has one of these versions."""
    item = await _for_change(unit, user, item_id, versions)
    statement = delete(Item).where(Item.id == item_id, Item.version == item.version).returning(Item.id)
    if await unit.session.scalar(statement) is None:
        raise Problem(412, CHANGED)
    unit.invalidate(user_group(item.owner_id))


async def _for_change(unit: UnitOfWork, user: ActiveUser, item_id: uuid.UUID, versions: Versions) -> Item:
    item = await unit.session.get(Item, item_id)
    if item is None or (item.owner_id != user.id and not user.is_admin):
        raise Problem(404, MISSING)
    if versions is not None and item.version not in versions:
        raise Problem(412, CHANGED)
    unit.session.expunge(item)  # the statement changes the row; what was read must not be written back
    return item
