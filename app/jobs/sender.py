"""Sends jobs to what runs them: Celery where there is a queue, else this process."""

import asyncio
import logging
import random
from typing import ParamSpec

from sqlalchemy.exc import DBAPIError

from app.core.observability import metrics
from app.core.observability.logging import first_line
from app.core.settings import Settings
from app.jobs.job import Job, JobContext, all_jobs

log = logging.getLogger("app.jobs")
P = ParamSpec("P")
CLOSE_SECONDS = 20
LOOK_SECONDS = 60
"""Between two looks for jobs that are overdue."""


class InProcessSender:
    """Runs jobs in this process, once each: for a laptop. What its end stops is overdue in the next process."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, job: Job[P], *args: P.args, **kwargs: P.kwargs) -> None:
        """Have a job run; called after the commit of what it works on."""
        task = asyncio.create_task(job(self._context, *args, **kwargs))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        metrics.JOBS.labels(job.name, "sent").inc()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the job has logged it

    async def close(self) -> None:
        """Let jobs end."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class CelerySender:
    """Puts jobs into the queue."""

    def __init__(self, settings: Settings) -> None:
        from app.jobs.worker import make_celery

        # A request waits for it: one try, and no waiting for a queue that is away.
        limits = {"connect_timeout": 1, "read_timeout": 2, "retries": {"total_max_attempts": 1}}
        self._celery = make_celery(settings, client=limits)

    async def send(self, job: Job[P], *args: P.args, **kwargs: P.kwargs) -> None:
        """Have a job run. It does not fail: what the queue does not take is sent again when it is overdue."""
        try:
            await asyncio.to_thread(self._celery.send_task, job.name, args, kwargs)
        except Exception:
            metrics.JOBS.labels(job.name, "unsent").inc()
            log.exception("job not sent", extra={"job": job.name, "arguments": [*map(str, args)]})
            return
        metrics.JOBS.labels(job.name, "sent").inc()

    async def close(self) -> None:
        await asyncio.to_thread(self._celery.close)


JobSender = InProcessSender | CelerySender


def make_sender(settings: Settings, context: JobContext) -> JobSender:
    """The sender that the settings name; `context` is what jobs of this process work with."""
    return CelerySender(settings) if settings.jobs_queue_url else InProcessSender(context)


async def send_overdue(sender: JobSender, context: JobContext) -> None:
    """Send every job again that should have been run by now."""
    for job in all_jobs().values():
        for arguments in await job.overdue(context) if job.overdue else ():
            log.warning("job sent again", extra={"job": job.name, "arguments": [*map(str, arguments)]})
            await sender.send(job, *arguments)


async def keep_sending(sender: JobSender, context: JobContext) -> None:
    """Look for overdue jobs again and again, at a time of its own in each process."""
    while True:
        await asyncio.sleep(LOOK_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - only so that not all look at once
        try:
            await send_overdue(sender, context)
        except (DBAPIError, OSError) as error:
            log.warning("could not look for overdue jobs", extra={"error": first_line(error)})
