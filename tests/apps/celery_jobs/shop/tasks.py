"""Jobs, and one that runs every night."""

from celery import Celery
from celery.schedules import crontab

from shop.database import orders
from shop.settings import get_settings

settings = get_settings()
queue = Celery("shop", broker=settings.celery_broker_url, backend=settings.celery_result_backend)
queue.conf.beat_schedule = {"report": {"task": "shop.tasks.report", "schedule": crontab(hour=3, minute=0)}}


@queue.task
def report() -> int:
    return len(orders())
