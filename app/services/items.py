"""Items: who may see and change them, versions, and creation that can be repeated."""

import hashlib
import uuid
from collections.abc import Collection

from app.core.database import Database, Row, UnitOfWork
from app.core.errors import Problem
from app.core.security import Caller
from app.core.store import Store, private_group
from app.crud import idempotency as idempotency_crud
from app.crud import items as item_crud
from app.crud import users as user_crud
from app.models import Item
from app.schemas.item import ItemCreate, ItemQuery, ItemRead, ItemUpdate
from app.schemas.page import Page
from app.services import cursor as cursors
from app.services.auth import not_authenticated
from app.services.users import invalidate, standing

Versions = Collection[int] | None
"""Versions of an item that may be changed; None for any."""
MISSING = "There is no such item."
CHANGED = "The item has been changed since you read it."


async def read(database: Database, *, caller: Caller, item_id: uuid.UUID) -> ItemRead:
    """One item. An item of somebody else is as absent as one that is not there."""
    row = await item_crud.read(database.reader, item_id, caller)
    if row is None:
        await _check_standing(database, caller)
        raise Problem(404, MISSING)
    return _model(row)


async def page(database: Database, *, caller: Caller, query: ItemQuery) -> Page:
    """A page of items."""
    sort, reader = query.sort, database.reader
    rows = await item_crud.page(
        reader,
        caller,
        status=query.status,
        search=query.search,
        sort=sort.column,
        descending=sort.descending,
        after=cursors.decode(query.cursor, cursors.moment if sort.column == "created_at" else str),
        limit=query.limit,
    )
    if not rows:
        await _check_standing(database, caller)
    full = len(rows) == query.limit
    cursor = cursors.encode(rows[-1][sort.column], rows[-1]["id"]) if full else None
    total = await item_crud.count(reader, caller, status=query.status, search=query.search) if query.count else None
    return Page(ItemRead, rows, cursor, total)


async def create(unit: UnitOfWork, *, caller: Caller, data: ItemCreate, key: str | None, store: Store) -> ItemRead:
    """A new item. With a key, the same request again gets the first one's answer and makes nothing."""
    user = await standing(unit, caller)
    if key is not None:
        request_hash = hashlib.sha256(data.model_dump_json().encode()).hexdigest()
        if not await idempotency_crud.claim(unit.session, user.id, key, request_hash):
            return await _answer_again(unit, user.id, key, request_hash)
    item = Item(owner_id=user.id, **data.model_dump())
    unit.session.add(item)
    await unit.session.flush()
    made = ItemRead.model_validate(item)
    if key is not None:
        await idempotency_crud.keep(unit.session, user.id, key, made.model_dump_json())
    unit.after_commit(lambda: invalidate(store, private_group(user.id)))
    return made


async def change(
    unit: UnitOfWork, *, caller: Caller, item_id: uuid.UUID, data: ItemUpdate, versions: Versions, store: Store
) -> ItemRead:
    """Change an item that still has one of these versions. Nothing to change is no new version."""
    item = await _for_change(unit, caller, item_id, versions)
    values = data.changes()
    if not values:
        return ItemRead.model_validate(item)
    row = await item_crud.change(unit.session, item_id, version=item.version, values=values)
    if row is None:
        raise Problem(412, CHANGED)
    unit.after_commit(lambda: invalidate(store, private_group(item.owner_id)))
    return _model(row)


async def delete(unit: UnitOfWork, *, caller: Caller, item_id: uuid.UUID, versions: Versions, store: Store) -> None:
    """Delete an item that still has one of these versions."""
    item = await _for_change(unit, caller, item_id, versions)
    if not await item_crud.remove(unit.session, item_id, version=item.version):
        raise Problem(412, CHANGED)
    unit.after_commit(lambda: invalidate(store, private_group(item.owner_id)))


async def _for_change(unit: UnitOfWork, caller: Caller, item_id: uuid.UUID, versions: Versions) -> Item:
    user = await standing(unit, caller)
    item = await unit.session.get(Item, item_id)
    if item is None or (item.owner_id != user.id and not user.is_admin):
        raise Problem(404, MISSING)
    if versions is not None and item.version not in versions:
        raise Problem(412, CHANGED)
    unit.session.expunge(item)  # the statement changes the row; what was read must not be written back
    return item


async def _answer_again(unit: UnitOfWork, user_id: uuid.UUID, key: str, request_hash: str) -> ItemRead:
    known = await idempotency_crud.get(unit.session, user_id, key)
    if known is None or known.answer is None:
        raise Problem(409, "A request with this Idempotency-Key is being carried out.")
    if known.request_hash != request_hash:
        raise Problem(422, "This Idempotency-Key belongs to another request.")
    return ItemRead.model_validate_json(known.answer)


async def _check_standing(database: Database, caller: Caller) -> None:
    """Nothing was found: because of the caller's account? Asked only then, so that a hit costs one query."""
    row = await user_crud.read(database.reader, caller.user_id)
    if row is None or not row["is_active"] or row["token_version"] != caller.token_version:
        raise not_authenticated()


def _model(row: Row) -> ItemRead:
    return ItemRead.model_validate(row)
