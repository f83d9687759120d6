"""Exports: asked for in a request, made by a job (app/jobs/exports.py), fetched when done."""

import logging
import math
import uuid
from datetime import timedelta

from app.core.db.database import Database, UnitOfWork
from app.core.errors import Problem
from app.crud import exports as export_crud
from app.crud.pages import read_page
from app.jobs.exports import export as export_job
from app.jobs.files import File, FilesUnavailableError
from app.models import Export, ExportStatus, utc_now
from app.resources import Resources
from app.schemas.base import Page, PageQuery
from app.schemas.item import ExportRead
from app.schemas.user import ActiveUser
from app.services.users import lock_active_user

log = logging.getLogger("app.exports")
HOUR = timedelta(hours=1)


async def start(resources: Resources, unit: UnitOfWork, *, user: ActiveUser) -> ExportRead:
    """Ask for an export of all of the user's items; at most so many an hour, for each reads them all."""
    await lock_active_user(unit, user, for_delete=False)  # of many at once, each counts those before it
    now, limit = utc_now(), resources.settings.exports_per_hour
    newest = await export_crud.newest(unit.session, user.id, since=now - HOUR, limit=limit)
    if len(newest) == limit:
        wait = math.ceil((newest[-1] + HOUR - now).total_seconds())
        raise Problem(429, f"At most {limit} exports an hour.", headers={"Retry-After": str(wait)})
    export = Export(owner_id=user.id, status=ExportStatus.PENDING, sent_at=now)
    unit.session.add(export)
    await unit.session.flush()
    unit.after_commit(lambda: resources.jobs.send(export_job, export.id))
    return ExportRead.model_validate(export)


async def page(database: Database, query: PageQuery, *, user: ActiveUser) -> Page[ExportRead]:
    """A page of the user's exports, the newest first."""
    return await read_page(database, Page[ExportRead], export_crud.of_owner(user.id), Export, query, newest_first=True)


async def read(database: Database, *, user: ActiveUser, export_id: uuid.UUID) -> ExportRead:
    """How far it is."""
    row = await export_crud.read(database.reader, export_id, owner=user.id)
    if row is None:
        raise Problem(404, "There is no such export.")
    return ExportRead.model_validate(row)


async def download(resources: Resources, *, user: ActiveUser, export_id: uuid.UUID) -> File:
    """The file, once it is done. No database connection is held while the file is asked for."""
    export = await read(resources.database, user=user, export_id=export_id)
    if export.status != ExportStatus.DONE:
        raise Problem(409, f"The export is {export.status}.")
    try:
        file = await resources.files.open(export.id)
    except FilesUnavailableError as error:
        log.error("files unavailable", extra={"error": str(error)})
        raise Problem(503, "The file cannot be read now; try again.", headers={"Retry-After": "5"}) from None
    if file is None:
        raise Problem(410, "The file has been deleted.")
    return file
