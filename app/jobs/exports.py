"""The export job: a user's items as CSV. Safe to run twice and at once: one run claims the row, the others leave."""

import csv
import io
import logging
import time
import uuid
from datetime import timedelta

from sqlalchemy import or_, select, update

from app.core import metrics
from app.core.database import Database
from app.jobs.files import Files
from app.models import Export, ExportStatus, Item
from app.models.base import utc_now

log = logging.getLogger("app.jobs")
STALE = timedelta(minutes=10)
"""A run that has been going for longer than this died with its process."""
COLUMNS = ("id", "title", "description", "status", "created_at", "updated_at")


async def run_export(database: Database, files: Files, export_id: uuid.UUID, *, final: bool = True) -> None:
    """Make the file of one export. An error is raised again; on the `final` try the export is marked failed."""
    start = time.perf_counter()
    owner = await _claim(database, export_id)
    if owner is None:
        return
    try:
        rows = await database.reader.rows(
            select(Item.__table__).where(Item.owner_id == owner).order_by(Item.created_at)
        )
        await files.put(export_id, _csv([dict(row) for row in rows]))
    except Exception:
        status = ExportStatus.FAILED if final else ExportStatus.PENDING
        await _finish(database, export_id, status, None)
        metrics.JOBS.labels("export", "dead" if final else "retried").inc()
        log.exception("export failed", extra={"export_id": str(export_id), "final": final})
        raise
    await _finish(database, export_id, ExportStatus.DONE, len(rows))
    metrics.JOBS.labels("export", "done").inc()
    metrics.JOB_SECONDS.labels("export").observe(time.perf_counter() - start)
    log.info("export done", extra={"export_id": str(export_id), "rows": len(rows)})


async def _claim(database: Database, export_id: uuid.UUID) -> uuid.UUID | None:
    """Take the export if nobody has it; whose it is."""
    free = or_(
        Export.status.in_([ExportStatus.PENDING, ExportStatus.FAILED]),
        (Export.status == ExportStatus.RUNNING) & (Export.started_at < utc_now() - STALE),
    )
    async with database.unit() as unit:
        taken = await unit.session.execute(
            update(Export)
            .where(Export.id == export_id, free)
            .values(status=ExportStatus.RUNNING, started_at=utc_now(), attempts=Export.attempts + 1)
            .returning(Export.owner_id)
        )
        return taken.scalar_one_or_none()


async def _finish(database: Database, export_id: uuid.UUID, status: ExportStatus, rows: int | None) -> None:
    async with database.unit() as unit:
        await unit.session.execute(
            update(Export).where(Export.id == export_id).values(status=status, rows=rows, finished_at=utc_now())
        )


def _csv(rows: list[dict[str, object]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    writer.writerows({key: _harmless(value) for key, value in row.items()} for row in rows)
    return text.getvalue().encode()


def _harmless(value: object) -> object:
    """A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection)."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
