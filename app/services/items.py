"""Items: who may see and change them, versions, and creation that can be repeated."""

import hashlib
import uuid
from collections.abc import Collection

from app.core.cache import user_group
from app.core.db.database import Database, UnitOfWork
from app.core.errors import Problem
from app.crud import idempotency as idempotency_crud
from app.crud import items as item_crud
from app.models import IdempotencyKey, Item
from app.schemas.base import Page, decode_cursor, moment
from app.schemas.item import ItemCreate, ItemQuery, ItemRead, ItemUpdate
from app.schemas.user import ActiveUser

Versions = Collection[int] | None
"""Versions of an item that may be changed; None for any."""
MISSING = "There is no such item."
CHANGED = "The item has been changed since you read it."


async def read(database: Database, *, user: ActiveUser, item_id: uuid.UUID) -> ItemRead:
    """One item. Another user's item is a 404, as one that does not exist."""
    row = await item_crud.read(database.reader, item_id, owner=None if user.is_admin else user.id)
    if row is None:
        raise Problem(404, MISSING)
    return ItemRead.model_validate(row)


async def page(database: Database, *, user: ActiveUser, query: ItemQuery) -> Page[ItemRead]:
    """A page of the user's items, or of all users' for admins."""
    owner = None if user.is_admin else user.id
    filters = query.model_dump(include=set(item_crud.FILTERS), exclude_none=True)
    column = query.sort.removeprefix("-")
    after = decode_cursor(query.cursor, moment if column == "created_at" else str)
    rows = await item_crud.page(
        database.reader, owner=owner, filters=filters, sort=query.sort, after=after, limit=query.limit
    )
    total = await item_crud.count(database.reader, owner=owner, filters=filters) if query.count else None
    return Page[ItemRead].of(rows, limit=query.limit, sorted_by=column, total=total)


async def create(unit: UnitOfWork, *, user: ActiveUser, data: ItemCreate, key: str | None) -> ItemRead:
    """A new item. With a key, the same request again gets the first one's answer and makes nothing."""
    if key is not None:
        request_hash = hashlib.sha256(data.model_dump_json().encode()).hexdigest()
        if not await idempotency_crud.claim(unit.session, user.id, key, request_hash):
            return await _answer_again(unit, user, key, request_hash)
    item = Item(owner_id=user.id, **data.model_dump())
    unit.session.add(item)
    await unit.session.flush()
    created = ItemRead.model_validate(item)
    if key is not None:
        await idempotency_crud.keep(unit.session, user.id, key, created.model_dump_json())
    unit.invalidate(user_group(user.id))
    return created


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
    row = await item_crud.change(unit.session, item_id, version=item.version, values=values)
    if row is None:
        raise Problem(412, CHANGED)
    unit.invalidate(user_group(item.owner_id))
    return ItemRead.model_validate(row)


async def delete_item(unit: UnitOfWork, *, user: ActiveUser, item_id: uuid.UUID, versions: Versions) -> None:
    """Delete an item that still has one of these versions."""
    item = await _for_change(unit, user, item_id, versions)
    if not await item_crud.remove(unit.session, item_id, version=item.version):
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
