"""`python -m app.jobs.cleanup`: deletes what is not needed any more, once a day. Safe to run twice and at once.

It works with the app's own role. When it is stopped half-way, the next run continues.
"""

import asyncio
import logging
import sys
import time
from contextlib import aclosing
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, inspect, select, tuple_
from sqlalchemy.exc import DBAPIError

from app.core.db.database import Database
from app.core.observability.logging import configure_logging, first_line
from app.core.settings import Settings, get_settings
from app.models import Base, Export, ExportStatus, IdempotencyKey, RefreshToken, utc_now

log = logging.getLogger("app.jobs")
EXPORTS_KEPT = timedelta(days=30)
"""The bucket deletes a file after as many days (bucketExpireDays in Pulumi.yaml); a row alone is of no use."""
KEYS_KEPT = timedelta(hours=24)
"""For so long at least the same Idempotency-Key gets the same answer. Stripe's API remembers as long."""
BATCH = 1000
"""Rows of one transaction: few enough that a login, which deletes its user's expired tokens, hardly waits for them."""
STATEMENT_SECONDS = 60
"""Longer than a request's: no request waits for this job, and looking for old rows locks none."""


async def clean_up(database: Database, now: datetime) -> dict[str, int]:
    """Delete what is not needed at this time; how many rows of each table."""
    # No index on these times: one would cost something at every login and create, to save one sequential scan a day.
    return {
        "refresh_tokens": await _delete(database, RefreshToken, RefreshToken.expires_at < now),
        "idempotency_keys": await _delete(database, IdempotencyKey, IdempotencyKey.created_at < now - KEYS_KEPT),
        # Their rows in export_files go with them, by the foreign key's ON DELETE CASCADE.
        "exports": await _delete(
            database,
            Export,
            # The status as well: an export that is tried again has the finished_at of the try before.
            and_(Export.status.in_([ExportStatus.DONE, ExportStatus.FAILED]), Export.finished_at < now - EXPORTS_KEPT),
        ),
    }


async def _delete(database: Database, model: type[Base], old: ColumnElement[bool]) -> int:
    columns = inspect(model).primary_key
    key, deleted = tuple_(*columns), 0
    while True:
        # Found first and locked afterwards, so that no row is locked for as long as a scan takes.
        rows = await database.reader.rows(select(*columns).where(old).limit(BATCH))
        if not rows:
            return deleted
        # A row that is locked is being deleted by a login or another run, or is an export that is tried again: to
        # wait for it could be a deadlock. One that has changed since it was found may be needed again.
        free = (
            select(*columns)
            .where(key.in_([tuple(row.values()) for row in rows]), old)
            .with_for_update(skip_locked=True)
            .cte("free")
        )
        statement = delete(model).where(key.in_(select(*free.c))).returning(columns[0])
        async with database.unit() as unit:
            result = await unit.session.execute(statement, execution_options={"synchronize_session": False})
            count = len(result.all())
        deleted += count
        if count == 0 or len(rows) < BATCH:
            return deleted


async def _run(settings: Settings) -> dict[str, int]:
    settings = settings.model_copy(update={"database_statement_timeout": STATEMENT_SECONDS})
    async with aclosing(Database(settings)) as database:
        return await clean_up(database, utc_now())


def main() -> int:
    """Clean up, and say how it went."""
    settings = get_settings()
    configure_logging(settings.log_level, settings.release)
    start = time.perf_counter()
    try:
        counts = asyncio.run(_run(settings))
    except (DBAPIError, OSError) as error:
        log.error("clean-up failed, the next run continues it", extra={"error": first_line(error)})
        return 1
    log.info("clean-up done", extra={**counts, "seconds": round(time.perf_counter() - start, 3)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
