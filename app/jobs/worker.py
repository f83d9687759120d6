"""The Celery worker: `celery -A app.jobs.worker worker`. SQS in AWS, at least once, so every job is idempotent."""

import asyncio
import uuid
from typing import Any
from urllib.parse import quote

from celery import Celery, signals

from app.core.logging import configure_logging
from app.core.settings import Settings, get_settings

MAX_RETRIES = 5
BACKOFF_SECONDS = 2
VISIBILITY_SECONDS = 900
"""Longer than any job takes; a message that was not acknowledged by then is another worker's."""


def make_celery(settings: Settings) -> Celery:
    """A Celery application for the settings' queue."""
    celery = Celery("app")
    queue = str(settings.jobs_queue_url or "memory").rsplit("/", 1)[-1]
    celery.conf.update(
        broker_url=_broker(settings),
        broker_transport_options=_options(settings, queue),
        task_default_queue=queue,
        task_create_missing_queues=False,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_time_limit=VISIBILITY_SECONDS - 60,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
    )
    celery.task(name="export", bind=True, max_retries=MAX_RETRIES)(_export)
    return celery


def _broker(settings: Settings) -> str:
    url = settings.jobs_queue_url or "memory://"
    if url.startswith(("memory:", "redis:", "rediss:")):
        return url
    return "sqs://"  # credentials come from the task's role


def _options(settings: Settings, queue: str) -> dict[str, Any]:
    url = settings.jobs_queue_url or ""
    if not url.startswith("http"):
        return {}
    return {
        "region": settings.aws_region,
        "visibility_timeout": VISIBILITY_SECONDS,
        "wait_time_seconds": 10,
        "predefined_queues": {queue: {"url": quote(url, safe=":/.-_")}},
    }


def _export(task: Any, export_id: str) -> None:
    """One export, with a longer and longer pause between tries; SQS keeps what fails for good as a dead letter."""
    final = task.request.retries >= MAX_RETRIES
    try:
        asyncio.run(_run_export(uuid.UUID(export_id), final=final))
    except Exception as error:
        raise task.retry(exc=error, countdown=BACKOFF_SECONDS * 2**task.request.retries) from error


async def _run_export(export_id: uuid.UUID, *, final: bool) -> None:
    """A loop, an engine and a client of its own for each job: nothing survives that belongs to an ended loop."""
    from app.core.database import Database
    from app.jobs.exports import run_export
    from app.jobs.files import make_files

    settings = get_settings()
    database = Database(settings)
    try:
        await run_export(database, make_files(settings, database), export_id, final=final)
    finally:
        await database.close()


@signals.setup_logging.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _logging(**_: Any) -> None:
    settings = get_settings()
    configure_logging(settings.log_level, settings.release)


def __getattr__(name: str) -> Any:
    """`celery -A app.jobs.worker` looks for `app`; importing this module alone reads no settings."""
    if name in ("app", "celery"):
        return make_celery(get_settings())
    raise AttributeError(name)
