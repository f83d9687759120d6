"""Handing jobs to whoever runs them: Celery where there is a queue, else this process."""

import asyncio
import logging
import uuid
from typing import Protocol

from app.core import metrics
from app.core.database import Database
from app.core.settings import Settings
from app.jobs.exports import run_export
from app.jobs.files import Files

log = logging.getLogger("app.jobs")
CLOSE_SECONDS = 20


class JobSender(Protocol):
    """Sends jobs; called after the commit of what they work on."""

    async def export(self, export_id: uuid.UUID) -> None:
        """Have an export made."""

    async def close(self) -> None:
        """Let jobs of this process end."""


class InProcessSender:
    """Runs jobs in this process: for a laptop, where nothing is lost that could not be asked for again."""

    def __init__(self, database: Database, files: Files) -> None:
        self._database, self._files = database, files
        self._tasks: set[asyncio.Task[None]] = set()

    async def export(self, export_id: uuid.UUID) -> None:
        """See JobSender."""
        task = asyncio.create_task(run_export(self._database, self._files, export_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        metrics.JOBS.labels("export", "sent").inc()

    async def close(self) -> None:
        """See JobSender."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)


class CelerySender:
    """Puts jobs into the queue. A queue that is away loses nothing: a pending export is sent again when it is read."""

    def __init__(self, settings: Settings) -> None:
        from app.jobs.worker import make_celery

        self._celery = make_celery(settings)

    async def export(self, export_id: uuid.UUID) -> None:
        """See JobSender."""
        try:
            await asyncio.to_thread(self._celery.send_task, "export", [str(export_id)])
        except Exception:
            metrics.JOBS.labels("export", "unsent").inc()
            log.exception("job not sent", extra={"job": "export", "export_id": str(export_id)})
            return
        metrics.JOBS.labels("export", "sent").inc()

    async def close(self) -> None:
        """See JobSender."""
        await asyncio.to_thread(self._celery.close)


def make_sender(settings: Settings, database: Database, files: Files) -> JobSender:
    """The sender that the settings name."""
    return CelerySender(settings) if settings.jobs_queue_url else InProcessSender(database, files)
