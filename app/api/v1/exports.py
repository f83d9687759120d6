"""Exports of all of a user's items."""

import uuid
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse

from app.api.deps import ORDINARY, V1, CurrentUser, DatabaseDep, Paging, ResourcesDep, UnitDep
from app.api.responses import errors
from app.schemas.base import Page
from app.schemas.item import ExportRead
from app.services import exports

router = APIRouter(prefix=f"{V1}/items/exports", tags=["exports"], dependencies=[Depends(ORDINARY)])
CSV: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "The items"}
}


@router.post("", operation_id="startExport", status_code=202, responses=errors(401))
async def start_export(
    request: Request, response: Response, user: CurrentUser, resources: ResourcesDep, unit: UnitDep
) -> ExportRead:
    """Ask for a CSV file of all of your items. `Location` says where to see how far it is."""
    export = await exports.start(resources, unit, user=user)
    response.headers["location"] = request.url_for("read_export", export_id=export.id).path
    return export


@router.get("", operation_id="listExports", responses=errors(401))
async def list_exports(
    request: Request, response: Response, user: CurrentUser, database: DatabaseDep, query: Paging
) -> Page[ExportRead]:
    """Your exports, the newest first. The next page is in the `Link` header."""
    page = await exports.page(database, query, user=user)
    page.add_headers(request, response)
    return page


@router.get("/{export_id}", operation_id="readExport", responses=errors(401, 404))
async def read_export(export_id: uuid.UUID, user: CurrentUser, database: DatabaseDep) -> ExportRead:
    """How far an export is."""
    return await exports.read(database, user=user, export_id=export_id)


@router.get(
    "/{export_id}/file",
    operation_id="downloadExport",
    response_class=StreamingResponse,
    responses={**errors(401, 404, 409, 410), **CSV},
)
async def download_export(export_id: uuid.UUID, user: CurrentUser, resources: ResourcesDep) -> StreamingResponse:
    """The file of an export that is done."""
    file = await exports.download(resources, user=user, export_id=export_id)
    # The length as well: a file that ends early, because the bucket went away, is seen to be cut.
    name = f'attachment; filename="items-{export_id}.csv"'
    headers = {"content-disposition": name, "content-length": str(file.size)}
    return StreamingResponse(file.chunks, media_type="text/csv", headers=headers)
