"""Exports: asked for in a request, made by a job, fetched when done."""

import logging
import math
import uuid
from datetime import timedelta

from app.core.database import Database, UnitOfWork
from app.core.errors import Problem
from app.core.security import Caller
from app.crud import exports as export_crud
from app.crud import users as user_crud
from app.jobs.exports import export as export_job
from app.jobs.files import File, Files, FilesUnavailableError
from app.jobs.sender import JobSender
from app.models import Export, ExportStatus
from app.models.base import utc_now
from app.schemas.export import ExportRead
from app.schemas.page import Page
from app.services import cursor as cursors
from app.services.users import standing

log = logging.getLogger("app.exports")
HOUR = timedelta(hours=1)
MISSING = "There is no such export."


async def start(unit: UnitOfWork, *, caller: Caller, per_hour: int, jobs: JobSender) -> ExportRead:
    """Ask for an export of all of the caller's items; at most so many an hour, for each reads them all."""
    user = await standing(unit, caller)
    await user_crud.lock(unit.session, user.id)  # of many at once, each counts those before it
    now = utc_now()
    newest = await export_crud.newest(unit.session, user.id, since=now - HOUR, limit=per_hour)
    if len(newest) == per_hour:
        wait = math.ceil((newest[-1] + HOUR - now).total_seconds())
        raise Problem(429, f"At most {per_hour} exports an hour.", headers={"Retry-After": str(wait)})
    export = Export(owner_id=user.id, status=ExportStatus.PENDING, sent_at=now)
    unit.session.add(export)
    await unit.session.flush()
    unit.after_commit(lambda: jobs.send(export_job, export.id))
    return ExportRead.model_validate(export)


async def page(database: Database, *, owner: uuid.UUID, limit: int, cursor: str | None) -> Page:
    """A page of the owner's exports, the newest first."""
    after = cursors.decode(cursor, cursors.moment)
    rows = await export_crud.page(database.reader, owner, after=after, limit=limit)
    full = len(rows) == limit
    return Page(ExportRead, rows, cursors.encode(rows[-1]["created_at"], rows[-1]["id"]) if full else None)


async def read(unit: UnitOfWork, *, caller: Caller, export_id: uuid.UUID) -> ExportRead:
    """How far it is."""
    return ExportRead.model_validate(await _get(unit, caller, export_id))


async def download(database: Database, *, caller: Caller, export_id: uuid.UUID, files: Files) -> File:
    """The file, once it is done. The database's connection is given back before the file is asked for."""
    async with database.unit() as unit:
        export = await _get(unit, caller, export_id)
    if export.status != ExportStatus.DONE:
        raise Problem(409, f"The export is {export.status}.")
    try:
        file = await files.open(export.id)
    except FilesUnavailableError as error:
        log.error("files unavailable", extra={"error": str(error)})
        raise Problem(503, "The file cannot be read now; try again.", headers={"Retry-After": "5"}) from None
    if file is None:
        raise Problem(410, "The file has been deleted.")
    return file


async def _get(unit: UnitOfWork, caller: Caller, export_id: uuid.UUID) -> Export:
    export = await export_crud.of_caller(unit.session, export_id, caller)
    if export is None:
        await standing(unit, caller)
        raise Problem(404, MISSING)
    return export
