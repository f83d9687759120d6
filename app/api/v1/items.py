"""Items."""

import uuid
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Response

from app.api.cache import cached
from app.api.deps import DatabaseDep, StoreDep, UncheckedCaller, UnitDep
from app.api.etags import ExpectedVersions, etag_of
from app.api.limiter import ORDINARY
from app.api.responses import errors
from app.api.router import V1, Router
from app.schemas.item import ItemCreate, ItemQuery, ItemRead, ItemUpdate
from app.services import items

router = Router(prefix=f"{V1}/items", tags=["items"], dependencies=[Depends(ORDINARY)])
Key = Annotated[
    str | None, Header(min_length=1, max_length=128, pattern=r"^[!-~]+$", description="Makes a repeat harmless")
]


@router.get("/", operation_id="listItems", response_model=list[ItemRead], responses=errors(401))
@cached()
async def list_items(caller: UncheckedCaller, database: DatabaseDep, query: Annotated[ItemQuery, Query()]) -> Any:
    """Your items; all items for admins. The next page is in the `Link` header."""
    return await items.page(database, caller=caller, query=query)


@router.post("/", operation_id="createItem", status_code=201, responses=errors(401, 409))
async def create_item(
    data: ItemCreate,
    response: Response,
    caller: UncheckedCaller,
    unit: UnitDep,
    store: StoreDep,
    idempotency_key: Key = None,
) -> ItemRead:
    """Create an item. With an Idempotency-Key the same request again gets the same answer and makes nothing."""
    made = await items.create(unit, caller=caller, data=data, key=idempotency_key, store=store)
    response.headers["etag"] = etag_of(made.version)
    return made


@router.get("/{item_id}", operation_id="readItem", response_model=ItemRead, responses=errors(304, 401, 404))
@cached()
async def read_item(item_id: uuid.UUID, caller: UncheckedCaller, database: DatabaseDep) -> Any:
    """One item, with its ETag."""
    return await items.read(database, caller=caller, item_id=item_id)


@router.patch("/{item_id}", operation_id="changeItem", responses=errors(401, 404, 412))
async def change_item(
    item_id: uuid.UUID,
    data: ItemUpdate,
    response: Response,
    caller: UncheckedCaller,
    unit: UnitDep,
    store: StoreDep,
    versions: ExpectedVersions,
) -> ItemRead:
    """Change an item; with If-Match, only if it is still the one that you read."""
    changed = await items.change(unit, caller=caller, item_id=item_id, data=data, versions=versions, store=store)
    response.headers["etag"] = etag_of(changed.version)
    return changed


@router.delete("/{item_id}", operation_id="deleteItem", status_code=204, responses=errors(401, 404, 412))
async def delete_item(
    item_id: uuid.UUID, caller: UncheckedCaller, unit: UnitDep, store: StoreDep, versions: ExpectedVersions
) -> None:
    """Delete an item; with If-Match, only if it is still the one that you read."""
    await items.delete(unit, caller=caller, item_id=item_id, versions=versions, store=store)
