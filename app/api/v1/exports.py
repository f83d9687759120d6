"""Exports of all of a user's items."""

import uuid
from typing import Any

from fastapi import Request, Response

from app.api.deps import RATE_LIMIT, CallerDep, FilesDep, JobsDep, UnitDep
from app.api.responses import errors
from app.api.router import Router
from app.schemas.export import ExportRead
from app.services import exports

router = Router(prefix="/items/exports", tags=["exports"], dependencies=RATE_LIMIT)
CSV: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "The items"}
}


@router.post("", operation_id="startExport", status_code=202, responses=errors(401))
async def start_export(
    request: Request, response: Response, caller: CallerDep, unit: UnitDep, jobs: JobsDep
) -> ExportRead:
    """Ask for a CSV file of all of your items. `Location` says where to see how far it is."""
    export = await exports.start(unit, caller=caller, jobs=jobs)
    response.headers["location"] = request.url_for("read_export", export_id=export.id).path
    return export


@router.get("/{export_id}", operation_id="readExport", responses=errors(401, 404))
async def read_export(export_id: uuid.UUID, caller: CallerDep, unit: UnitDep, jobs: JobsDep) -> ExportRead:
    """How far an export is."""
    return await exports.read(unit, caller=caller, export_id=export_id, jobs=jobs)


@router.get(
    "/{export_id}/file",
    operation_id="downloadExport",
    response_class=Response,
    responses={**errors(401, 404, 409, 410), **CSV},
)
async def download_export(export_id: uuid.UUID, caller: CallerDep, unit: UnitDep, files: FilesDep) -> Response:
    """The file of an export that is done."""
    content = await exports.download(unit, caller=caller, export_id=export_id, files=files)
    name = f'attachment; filename="items-{export_id}.csv"'
    return Response(content, media_type="text/csv", headers={"content-disposition": name})
