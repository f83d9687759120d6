"""The export job: a user's items as a CSV file."""

import asyncio
import csv
import tempfile
import unicodedata
import uuid
from datetime import timedelta
from io import TextIOWrapper
from typing import BinaryIO, cast

from app.core.db.database import Row
from app.crud import exports as export_crud
from app.jobs.job import JobContext, job
from app.models import ExportStatus, utc_now

SEND_AGAIN = timedelta(minutes=5)
"""An export that no worker has taken by then is sent again: the queue was away, or the process that had it is gone."""
COLUMNS = ("id", "title", "description", "status", "created_at", "updated_at")
PAGE = 1000
"""Rows of one query: a user may have more items than fit into memory, or than one statement's time-out allows."""
IN_MEMORY = 1024 * 1024
"""Bytes of a file that are not worth a disk."""


async def overdue(context: JobContext) -> list[tuple[uuid.UUID]]:
    """Exports that no worker has taken. One whose run has vanished, and that is not tried any more, has failed."""
    now = utc_now()
    async with context.database.unit() as unit:
        await export_crud.give_up(unit.session, started_before=now - context.lost_after)
        waiting = await export_crud.send_again(unit.session, sent_before=now - SEND_AGAIN)
    return [(export_id,) for export_id in waiting]


@job(overdue=overdue)
async def export(context: JobContext, export_id: uuid.UUID) -> None:
    """Make the file of one export, whatever became of a run before. One that is done, or gone, is left alone."""
    lost_before = utc_now() - context.lost_after
    async with context.database.unit() as unit:
        owner = await export_crud.claim(unit.session, export_id, again=context.number > 1, lost_before=lost_before)
    if owner is None:
        return
    try:
        async with asyncio.timeout(context.seconds):
            with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
                rows = await _write(context, owner, cast(BinaryIO, file))
                file.seek(0)
                await context.files.put(export_id, cast(BinaryIO, file))
    except BaseException as error:  # a process that is asked to stop leaves it to the next one
        failed = context.last and isinstance(error, Exception)
        await _end(context, export_id, ExportStatus.FAILED if failed else ExportStatus.PENDING, None)
        raise
    await _end(context, export_id, ExportStatus.DONE, rows)


async def _end(context: JobContext, export_id: uuid.UUID, status: ExportStatus, rows: int | None) -> None:
    async with context.database.unit() as unit:
        await export_crud.end(unit.session, export_id, status, rows)


async def _write(context: JobContext, owner: uuid.UUID, file: BinaryIO) -> int:
    """Write the owner's items, from the oldest on; how many. No connection is held between two pages."""
    text = TextIOWrapper(file, "utf-8", newline="")
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    rows, last = 0, None
    while True:
        page = await export_crud.items(context.database.reader, owner, after=last, limit=PAGE)
        writer.writerows(_harmless(row) for row in page)
        rows += len(page)
        if len(page) < PAGE:
            text.detach()
            return rows
        last = page[-1]


def _harmless(row: Row) -> dict[str, object]:
    """A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection)."""
    return {
        name: f"'{value}" if isinstance(value, str) and _is_formula(value) else value for name, value in row.items()
    }


def _is_formula(text: str) -> bool:
    """Full-width forms, such as U+FF1D for the equals sign, are taken for the plain ones."""
    return unicodedata.normalize("NFKC", text[:1]) in ("=", "+", "-", "@", "\t", "\r", "\n")
