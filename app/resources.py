"""What one process of the app holds open: made at start-up, closed at the end, given to endpoints by deps.py."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from app.core.cache import MemoryResponseCache, RedisResponseCache, ResponseCache
from app.core.db.database import Database
from app.core.http.health import Health
from app.core.redis import MemoryRateCounter, RateCounter, RedisConnection, RedisRateCounter
from app.core.security.passwords import Passwords
from app.core.security.tokens import Tokens
from app.core.settings import Settings
from app.jobs.files import Files, make_files
from app.jobs.job import JobContext
from app.jobs.sender import JobSender, keep_sending, make_sender

log = logging.getLogger("app")


@dataclass(frozen=True)
class Resources:
    """Everything that outlives a request."""

    settings: Settings
    database: Database
    redis: RedisConnection | None
    rate_counter: RateCounter
    response_cache: ResponseCache
    passwords: Passwords
    tokens: Tokens
    files: Files
    job_context: JobContext
    jobs: JobSender
    health: Health


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Open everything, and close it at the end of the block."""
    if not settings.on_postgres:
        from app import migrate  # with Alembic, which no web process needs that has a release step

        await asyncio.to_thread(migrate.upgrade, settings)  # the embedded database has no release step
    database = Database(settings)
    redis = RedisConnection(settings) if settings.on_redis else None
    ttl = settings.response_ttl
    files = make_files(settings, database)
    job_context = JobContext(database, files, settings.job_time_limit)
    resources = Resources(
        settings=settings,
        database=database,
        redis=redis,
        rate_counter=RedisRateCounter(redis) if redis else MemoryRateCounter(),
        response_cache=RedisResponseCache(redis, ttl) if redis else MemoryResponseCache(ttl),
        passwords=Passwords(),
        tokens=Tokens(settings.signing_key, settings.access_token_lifetime, settings.former_signing_key),
        files=files,
        job_context=job_context,
        jobs=make_sender(settings, job_context),
        health=Health({"database": database.ping, "redis": redis.ping if redis else _in_memory}),
    )
    try:
        yield resources
    finally:
        await resources.jobs.close()
        await resources.response_cache.close()
        if redis:
            await redis.close()
        await database.aclose()
        resources.passwords.close()


async def _in_memory() -> None:
    """There is no Redis to ask."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The app's life in a server: resources for all of its requests, and an orderly end."""
    settings: Settings = app.state.settings
    outer = app.state.resources  # of a life around this one: a test's, for a server has one
    async with open_resources(settings) as resources:
        app.state.resources = resources
        fields = {"environment": settings.environment.value, "database": resources.database.engine.name}
        log.info("started", extra=fields | ({"data": str(settings.data_folder)} if settings.embedded else {}))
        overdue = asyncio.create_task(keep_sending(resources.jobs, resources.job_context))
        with _draining_on_term(settings, resources.health):
            yield
        overdue.cancel()
        app.state.resources = outer
    log.info("stopped")


@contextmanager
def _draining_on_term(settings: Settings, health: Health) -> Iterator[None]:
    """On SIGTERM: fail readiness, serve on for `drain_seconds`, then let the server end as it would have at once."""
    before: Any = signal.getsignal(signal.SIGTERM)
    loop = asyncio.get_running_loop()

    def drain(number: int, frame: Any) -> None:
        health.draining = True
        if callable(before):
            loop.call_soon_threadsafe(loop.call_later, settings.drain_seconds, before, number, None)

    try:
        signal.signal(signal.SIGTERM, drain)
    except ValueError:  # not the main thread: a test's server
        yield
        return
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is drain:
            signal.signal(signal.SIGTERM, before)
