"""Exports: asked for in a request, made by a job, fetched when done."""

import logging
import math
import uuid
from datetime import timedelta

from app.core.db.database import Database, UnitOfWork
from app.core.errors import Problem
from app.crud import exports as export_crud
from app.jobs.exports import export as export_job
from app.jobs.files import File, Files, FilesUnavailableError
from app.jobs.sender import JobSender
from app.models import Export, ExportStatus
from app.models.base import utc_now
from app.schemas.base import Page, decode_cursor
from app.schemas.export import ExportRead
from app.schemas.user import ActiveUser
from app.services.users import lock_active_user

log = logging.getLogger("app.exports")
HOUR = timedelta(hours=1)
MISSING = "There is no such export."


async def start(unit: UnitOfWork, *, user: ActiveUser, per_hour: int, jobs: JobSender) -> ExportRead:
    """Ask for an export of all of the user's items; at most so many an hour, for each reads them all."""
    await lock_active_user(unit, user, for_delete=False)  # of many at once, each counts those before it
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


async def page(database: Database, *, user: ActiveUser, limit: int, cursor: str | None) -> Page[ExportRead]:
    """A page of the user's exports, the newest first."""
    after = decode_cursor(cursor)
    rows = await export_crud.page(database.reader, user.id, after=after, limit=limit)
    return Page[ExportRead].of(rows, limit=limit)


async def read(database: Database, *, user: ActiveUser, export_id: uuid.UUID) -> ExportRead:
    """How far it is."""
    row = await export_crud.read(database.reader, export_id, owner=user.id)
    if row is None:
        raise Problem(404, MISSING)
    return ExportRead.model_validate(row)


async def download(database: Database, *, user: ActiveUser, export_id: uuid.UUID, files: Files) -> File:
    """The file, once it is done. No database connection is held while the file is asked for."""
    export = await read(database, user=user, export_id=export_id)
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
