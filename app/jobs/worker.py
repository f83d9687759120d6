"""The Celery worker: `celery -A app.jobs.worker worker --concurrency 1`.

A message is acknowledged when its job is done, and at no other time. One that fails, is killed or takes too long comes
again, after a longer and longer pause, until SQS has given it out as often as its redrive policy says and keeps it as a
dead letter. Time-outs, each longer than the one before it: a job's own (JOB_TIME_LIMIT), the one that kills its
process, the queue's visibility time-out, after which SQS takes the worker for dead.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from celery import Celery, signals
from celery.exceptions import Reject

from app.core.db.database import Database
from app.core.observability import metrics, tracing
from app.core.observability.logging import configure_logging, first_line
from app.core.settings import Settings, get_settings
from app.jobs.files import JOB_SECONDS, make_files
from app.jobs.job import Job, JobContext, all_jobs
from app.jobs.protection import protected

KILL_SECONDS = 30
"""A job that has not ended so long after its time limit is killed."""
BACKOFF_SECONDS = (10, 30, 120, 300)
"""The pauses before a message comes again."""


def make_celery(settings: Settings, *, tries: int = 1, client: dict[str, Any] | None = None) -> Celery:
    """The settings' queue. `tries`: how often it gives a message out; `client`: botocore's configuration."""
    celery = Celery("app")
    queue = str(settings.jobs_queue_url).rsplit("/", 1)[-1]
    pauses = {number: BACKOFF_SECONDS[min(number, len(BACKOFF_SECONDS)) - 1] for number in range(1, tries)}
    celery.conf.update(
        broker_url="sqs://",  # credentials come from the task's role
        broker_transport_options={
            "region": settings.aws_region,
            "wait_time_seconds": 10,
            "client-config": client or {},
            "predefined_queues": {
                queue: {
                    "url": quote(str(settings.jobs_queue_url), safe=":/.-_"),
                    # After the last one there is nothing to wait for: the next look makes it a dead letter.
                    "backoff_policy": pauses | {tries: 0},
                    "backoff_tasks": [*all_jobs()],
                }
            },
        },
        task_default_queue=queue,
        task_create_missing_queues=False,
        task_publish_retry=False,
        task_acks_late=True,
        task_acks_on_failure_or_timeout=False,
        task_reject_on_worker_lost=False,  # as any failure: left in the queue, with a pause
        task_ignore_result=True,
        task_time_limit=settings.job_time_limit + KILL_SECONDS,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
    )
    for name, job in all_jobs().items():
        celery.task(name=name, bind=True)(_task(job, settings, tries))
    return celery


def _task(job: Job[Any], settings: Settings, tries: int) -> Callable[..., None]:
    def run(task: Any, *args: Any, **kwargs: Any) -> None:
        message = task.request.properties["delivery_info"]["sqs_message"]
        number = int(message["Attributes"]["ApproximateReceiveCount"])
        try:
            with protected(settings.job_time_limit + KILL_SECONDS):
                asyncio.run(_run(job, settings, number, number >= tries, args, kwargs))
        except Exception as error:  # logged by the job; whatever it is, the message is not acknowledged
            raise Reject(first_line(error), requeue=False) from error

    return run


async def _run(job: Job[Any], settings: Settings, number: int, last: bool, args: Any, kwargs: Any) -> None:
    async with aclosing(Database(settings)) as database:
        files = make_files(settings, database, JOB_SECONDS)
        await job(JobContext(database, files, settings.job_time_limit, number, last), *args, **kwargs)


def tries_of_queue(settings: Settings) -> int:
    """How often the queue gives a message out before it is a dead letter. Ends the process when the queue does not
    answer, or would lose jobs or run them twice at once."""
    sqs: Any = boto3.client("sqs", region_name=settings.aws_region)
    url, names = str(settings.jobs_queue_url), ["VisibilityTimeout", "RedrivePolicy"]
    try:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"The worker cannot start: the queue does not answer: {first_line(error)}") from None
    visibility, longest = int(attributes["VisibilityTimeout"]), settings.job_time_limit + KILL_SECONDS
    if visibility <= longest:
        raise SystemExit(
            f"The worker cannot start: the queue takes a worker for dead after {visibility} s, but a job may take "
            f"{longest} s (JOB_TIME_LIMIT and {KILL_SECONDS} more): raise the visibility time-out"
        )
    if "RedrivePolicy" not in attributes:
        raise SystemExit(
            "The worker cannot start: the queue has no redrive policy, so a job that fails would never end"
        )
    return int(json.loads(attributes["RedrivePolicy"])["maxReceiveCount"])


@signals.setup_logging.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _logging(**_: Any) -> None:
    settings = get_settings()
    configure_logging(settings.log_level, settings.release)


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def _metrics(**_: Any) -> None:
    """Serve the sum of all processes' metrics from the parent, where a port is said."""
    port = get_settings().metrics_port
    if port:
        metrics.serve_metrics(port)


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def _tracing(**_: Any) -> None:
    tracing.start_tracing(get_settings())


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def _end_of_tracing(**_: Any) -> None:
    tracing.stop_tracing()


def __getattr__(name: str) -> Any:
    """`celery -A app.jobs.worker` looks for `app`; importing this module alone reads no settings."""
    if name in ("app", "celery"):
        settings = get_settings()
        return make_celery(settings, tries=tries_of_queue(settings))
    raise AttributeError(name)
