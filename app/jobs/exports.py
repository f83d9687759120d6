"""The export job: a user's items as a CSV file."""

import asyncio
import csv
import tempfile
import unicodedata
import uuid
from datetime import timedelta
from io import TextIOWrapper
from typing import BinaryIO, cast

from sqlalchemy import func, or_, select, tuple_, update

from app.core.db.database import Row
from app.jobs.job import JobContext, job
from app.models import Export, ExportStatus, Item, utc_now

SEND_AGAIN = timedelta(minutes=5)
"""An export that nobody has taken by then is sent again: the queue was away, or the process that had it is gone."""
COLUMNS = ("id", "title", "description", "status", "created_at", "updated_at")
PAGE = 1000
"""Rows of one query: a user may have more items than fit into memory, or than one statement's time-out allows."""
IN_MEMORY = 1024 * 1024
"""Bytes of a file that are not worth a disk."""


async def overdue(context: JobContext) -> list[tuple[uuid.UUID]]:
    """Exports that nobody has taken. One whose run has vanished, and that is not tried any more, has failed."""
    now = utc_now()
    lost = (Export.status == ExportStatus.RUNNING) & (Export.started_at < now - context.lost_after)
    sent = func.coalesce(Export.sent_at, Export.created_at)
    waits = (Export.status == ExportStatus.PENDING) & (sent < now - SEND_AGAIN)
    async with context.database.unit() as unit:
        await unit.session.execute(update(Export).where(lost).values(status=ExportStatus.FAILED, finished_at=now))
        # Counted as sent now: of two callers one gets each.
        rows = await unit.session.scalars(update(Export).where(waits).values(sent_at=now).returning(Export.id))
        return [(export_id,) for export_id in rows]


@job(overdue=overdue)
async def export(context: JobContext, export_id: uuid.UUID) -> None:
    """Make the file of one export, whatever became of a run before. One that is done, or gone, is left alone."""
    owner = await _claim(context, export_id)
    if owner is None:
        return
    try:
        async with asyncio.timeout(context.seconds):
            with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
                rows = await _write(context, owner, cast(BinaryIO, file))
                file.seek(0)
                await context.files.put(export_id, cast(BinaryIO, file))
    except BaseException as error:  # a process that is told to stop leaves it to the next one
        failed = context.last and isinstance(error, Exception)
        await _end(context, export_id, ExportStatus.FAILED if failed else ExportStatus.PENDING, None)
        raise
    await _end(context, export_id, ExportStatus.DONE, rows)


async def _claim(context: JobContext, export_id: uuid.UUID) -> uuid.UUID | None:
    """Take an export that nobody has; whose it is. When the message's own run before has ended, a running one is its.
    Otherwise a running one is another message's, which comes again if that run dies."""
    now = utc_now()
    free = Export.status.in_([ExportStatus.PENDING, ExportStatus.FAILED])
    ended = True if context.number > 1 else Export.started_at < now - context.lost_after
    mine = (Export.status == ExportStatus.RUNNING) & ended
    statement = (
        update(Export)
        .where(Export.id == export_id, or_(free, mine))
        .values(status=ExportStatus.RUNNING, started_at=now, attempts=Export.attempts + 1)
        .returning(Export.owner_id)
    )
    async with context.database.unit() as unit:
        return await unit.session.scalar(statement)


async def _end(context: JobContext, export_id: uuid.UUID, status: ExportStatus, rows: int | None) -> None:
    """Write down how a run ended; not over another one that was done in the meantime."""
    values = {"status": status, "rows": rows, "finished_at": utc_now()}
    if status == ExportStatus.PENDING:
        values["sent_at"] = utc_now()  # its message comes again by itself
    unfinished = (Export.id == export_id) & (Export.status != ExportStatus.DONE)
    async with context.database.unit() as unit:
        await unit.session.execute(update(Export).where(unfinished).values(**values))


async def _write(context: JobContext, owner: uuid.UUID, file: BinaryIO) -> int:
    """Write the owner's items, from the oldest on; how many. No connection is held between two pages."""
    text = TextIOWrapper(file, "utf-8", newline="")
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    items = select(Item.__table__).where(Item.owner_id == owner).order_by(Item.created_at, Item.id).limit(PAGE)
    statement, rows = items, 0
    while True:
        page = await context.database.reader.rows(statement)
        writer.writerows(_harmless(row) for row in page)
        rows += len(page)
        if len(page) < PAGE:
            text.detach()
            return rows
        last = page[-1]
        statement = items.where(tuple_(Item.created_at, Item.id) > (last["created_at"], last["id"]))


def _harmless(row: Row) -> dict[str, object]:
    """A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection)."""
    return {
        name: f"'{value}" if isinstance(value, str) and _is_formula(value) else value for name, value in row.items()
    }


def _is_formula(text: str) -> bool:
    """Full-width forms, such as U+FF1D for the equals sign, are taken for the plain ones."""
    return unicodedata.normalize("NFKC", text[:1]) in ("=", "+", "-", "@", "\t", "\r", "\n")
