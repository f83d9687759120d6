"""Exports: asked for in a request, made by a job, fetched when done."""

import uuid
from datetime import timedelta

from app.core.database import UnitOfWork
from app.core.errors import Problem
from app.core.security import Caller
from app.crud import exports as export_crud
from app.jobs.files import Files
from app.jobs.sender import JobSender
from app.models import Export, ExportStatus
from app.models.base import utc_now
from app.schemas.export import ExportRead
from app.services.users import standing

SEND_AGAIN = timedelta(seconds=60)
"""A job that nobody took by then is sent again: the queue was away, or lost it."""
MISSING = "There is no such export."


async def start(unit: UnitOfWork, *, caller: Caller, jobs: JobSender) -> ExportRead:
    """Ask for an export of all of the caller's items."""
    user = await standing(unit, caller)
    export = Export(owner_id=user.id, status=ExportStatus.PENDING, sent_at=utc_now())
    unit.session.add(export)
    await unit.session.flush()
    unit.after_commit(lambda: jobs.export(export.id))
    return ExportRead.model_validate(export)


async def read(unit: UnitOfWork, *, caller: Caller, export_id: uuid.UUID, jobs: JobSender) -> ExportRead:
    """How far it is."""
    export = await _get(unit, caller, export_id)
    waits = export.status == ExportStatus.PENDING and (export.sent_at or export.created_at) < utc_now() - SEND_AGAIN
    if waits:
        export.sent_at = utc_now()
        unit.after_commit(lambda: jobs.export(export.id))
    return ExportRead.model_validate(export)


async def download(unit: UnitOfWork, *, caller: Caller, export_id: uuid.UUID, files: Files) -> bytes:
    """The file, once it is done."""
    export = await _get(unit, caller, export_id)
    if export.status != ExportStatus.DONE:
        raise Problem(409, f"The export is {export.status}.")
    content = await files.get(export.id)
    if content is None:
        raise Problem(410, "The file has been deleted.")
    return content


async def _get(unit: UnitOfWork, caller: Caller, export_id: uuid.UUID) -> Export:
    export = await export_crud.of_caller(unit.session, export_id, caller)
    if export is None:
        await standing(unit, caller)
        raise Problem(404, MISSING)
    return export
