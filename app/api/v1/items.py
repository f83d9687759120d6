"""Items."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from app.api.cache import cached
from app.api.deps import ORDINARY, V1, CurrentUser, DatabaseDep, UnitDep
from app.api.etags import ExpectedVersions, etag_of
from app.api.responses import errors
from app.schemas.base import Page
from app.schemas.item import ItemCreate, ItemQuery, ItemRead, ItemUpdate
from app.services import items

router = APIRouter(prefix=f"{V1}/items", tags=["items"], dependencies=[Depends(ORDINARY)])
Key = Annotated[
    str | None, Header(min_length=1, max_length=128, pattern=r"^[!-~]+$", description="Makes a repeat harmless")
]


@router.get("/", operation_id="listItems", responses=errors(401))
@cached()
async def list_items(
    request: Request,
    response: Response,
    user: CurrentUser,
    database: DatabaseDep,
    query: Annotated[ItemQuery, Query()],
) -> Page[ItemRead]:
    """Your items; all items for admins. The next page is in the `Link` header."""
    page = await items.page(database, user=user, query=query)
    page.add_headers(request, response)
    return page


@router.post("/", operation_id="createItem", status_code=201, responses=errors(401, 409))
async def create_item(
    data: ItemCreate,
    response: Response,
    user: CurrentUser,
    unit: UnitDep,
    idempotency_key: Key = None,
) -> ItemRead:
    """Create an item. With an Idempotency-Key the same request again gets the same answer and makes nothing."""
    item = await items.create(unit, user=user, data=data, key=idempotency_key)
    response.headers["etag"] = etag_of(item.version)
    return item


@router.get("/{item_id}", operation_id="readItem", responses=errors(304, 401, 404))
@cached()
async def read_item(item_id: uuid.UUID, response: Response, user: CurrentUser, database: DatabaseDep) -> ItemRead:
    """One item, with its ETag."""
    item = await items.read(database, user=user, item_id=item_id)
    response.headers["etag"] = etag_of(item.version)
    return item


@router.patch("/{item_id}", operation_id="changeItem", responses=errors(401, 404, 412))
async def change_item(
    item_id: uuid.UUID,
    data: ItemUpdate,
    response: Response,
    user: CurrentUser,
    unit: UnitDep,
    versions: ExpectedVersions,
) -> ItemRead:
    """Change an item; with If-Match, only if it is still the one that you read."""
    item = await items.change(unit, user=user, item_id=item_id, data=data, versions=versions)
    response.headers["etag"] = etag_of(item.version)
    return item


@router.delete("/{item_id}", operation_id="deleteItem", status_code=204, responses=errors(401, 404, 412))
async def delete_item(item_id: uuid.UUID, user: CurrentUser, unit: UnitDep, versions: ExpectedVersions) -> None:
    """Delete an item; with If-Match, only if it is still the one that you read."""
    await items.delete_item(unit, user=user, item_id=item_id, versions=versions)
