"""The export job: a user's items as a CSV file."""

import asyncio
import csv
import tempfile
import uuid
from datetime import timedelta
from io import TextIOWrapper
from typing import BinaryIO, cast

from app.core.database import Row
from app.crud import exports as export_crud
from app.jobs.job import Run, job
from app.models import ExportStatus
from app.models.base import utc_now

SEND_AGAIN = timedelta(minutes=5)
"""An export that nobody has taken by then is sent again: the queue was away, or the process that had it is gone."""
COLUMNS = ("id", "title", "description", "status", "created_at", "updated_at")
PAGE = 1000
"""Rows of one query: a user may have more items than fit into memory, or than one statement's time-out allows."""
IN_MEMORY = 1024 * 1024
"""Bytes of a file that are not worth a disk."""


async def overdue(run: Run) -> list[tuple[uuid.UUID]]:
    """Exports that nobody has taken. One whose run has vanished, and that is not tried any more, has failed."""
    now = utc_now()
    async with run.database.unit() as unit:
        await export_crud.give_up(unit.session, started_before=now - run.lost_after)
        return [(found,) for found in await export_crud.send_again(unit.session, sent_before=now - SEND_AGAIN)]


@job(overdue=overdue)
async def export(run: Run, export_id: uuid.UUID) -> None:
    """Make the file of one export, whatever became of a run before. One that is done, or gone, is left alone."""
    async with run.database.unit() as unit:
        lost = utc_now() - run.lost_after
        owner = await export_crud.claim(unit.session, export_id, again=run.number > 1, lost_before=lost)
    if owner is None:
        return
    try:
        async with asyncio.timeout(run.seconds):
            with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
                rows = await _write(run, owner, cast(BinaryIO, file))
                file.seek(0)
                await run.files.put(export_id, cast(BinaryIO, file))
    except BaseException as error:  # a process that is told to stop leaves it to the next one
        failed = run.last and isinstance(error, Exception)
        await _end(run, export_id, ExportStatus.FAILED if failed else ExportStatus.PENDING, None)
        raise
    await _end(run, export_id, ExportStatus.DONE, rows)


async def _write(run: Run, owner: uuid.UUID, file: BinaryIO) -> int:
    """Write the owner's items; how many. No connection is held between two pages."""
    text = TextIOWrapper(file, "utf-8", newline="")
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    rows, after = 0, None
    while True:
        page = await export_crud.items(run.database.reader, owner, after=after, limit=PAGE)
        writer.writerows(_harmless(row) for row in page)
        rows += len(page)
        if len(page) < PAGE:
            text.detach()
            return rows
        after = (page[-1]["created_at"], page[-1]["id"])


async def _end(run: Run, export_id: uuid.UUID, status: ExportStatus, rows: int | None) -> None:
    async with run.database.unit() as unit:
        await export_crud.end(unit.session, export_id, status, rows)


def _harmless(row: Row) -> dict[str, object]:
    """A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection)."""
    dangerous = ("=", "+", "-", "@", "\t", "\r")
    return {
        name: f"'{value}" if isinstance(value, str) and value.startswith(dangerous) else value
        for name, value in row.items()
    }
