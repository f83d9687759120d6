"""What one process of the app holds open: made at start-up, closed at the end, handed to whoever asks by deps.py."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.database import Database
from app.core.health import Health
from app.core.redis_store import RedisStore
from app.core.security import Passwords, Tokens
from app.core.settings import Settings
from app.core.store import MemoryStore, Store
from app.jobs.files import Files, make_files
from app.jobs.job import Run
from app.jobs.sender import JobSender, keep_sending, make_sender

log = logging.getLogger("app")
_OWN = "app.resources"


@dataclass(frozen=True)
class Resources:
    """Everything that outlives a request."""

    settings: Settings
    database: Database
    store: Store
    passwords: Passwords
    tokens: Tokens
    files: Files
    run: Run
    jobs: JobSender
    health: Health


def resources_of(connection: HTTPConnection) -> Resources:
    """Those of the request's app."""
    found: Resources = connection.scope.get(_OWN) or connection.app.state.resources
    return found


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Open everything, and close it at the end of the block."""
    if not settings.on_postgres:
        from app import migrate  # with Alembic, which no web process needs that has a release step

        await asyncio.to_thread(migrate.upgrade, settings)  # the embedded database has nobody else to do it
    database = Database(settings)
    store = RedisStore(settings) if settings.on_redis else MemoryStore()
    passwords = Passwords()
    files = make_files(settings, database)
    run = Run(database, files, settings.job_time_limit)
    jobs = make_sender(settings, run)
    tokens = Tokens(settings.signing_key, settings.access_token_lifetime, settings.former_signing_key)
    try:
        yield Resources(settings, database, store, passwords, tokens, files, run, jobs, Health(database, store))
    finally:
        await jobs.close()
        await store.close()
        await database.close()
        passwords.close()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The app's life in a server: resources for all of its requests, and an orderly end."""
    settings: Settings = app.state.settings
    outer = app.state.resources  # of a life around this one: a test's, for a server has one
    async with open_resources(settings) as resources:
        app.state.resources = resources
        about = {"environment": settings.environment.value, "database": resources.database.engine.name}
        log.info("started", extra=about | ({"data": str(settings.data_folder)} if settings.embedded else {}))
        overdue = asyncio.create_task(keep_sending(resources.jobs, resources.run))
        with _draining_on_term(settings, resources.health):
            yield
        overdue.cancel()
        app.state.resources = outer
    log.info("stopped")


class OpenOnDemand:
    """Opens resources for a single request of an app that nobody has started.

    A test module's `client = TestClient(app)` is such an app: without `with` there is no start-up, and each request has
    an event loop of its own, which connections do not outlive. A server starts the app, and this layer does nothing.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["app"].state.resources is not None:
            await self.app(scope, receive, send)
            return
        async with open_resources(scope["app"].state.settings) as scope[_OWN]:
            await self.app(scope, receive, send)


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
