"""What one process of the app holds open: made at start-up, closed at the end, reached through `request.app.state`."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from app import migrate
from app.core.database import Database
from app.core.health import Health
from app.core.security import Passwords, Tokens
from app.core.settings import Settings
from app.core.store import MemoryStore, Store
from app.jobs.files import make_files
from app.jobs.sender import make_sender

log = logging.getLogger("app")


def open_store(settings: Settings) -> Store:
    """Redis where there is one; otherwise this process's memory."""
    if settings.redis_url is None and settings.redis_host is None:
        return MemoryStore()
    from app.core.redis_store import RedisStore

    return RedisStore(settings)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open and close everything."""
    settings: Settings = app.state.settings
    if not settings.on_postgres:
        await asyncio.to_thread(migrate.upgrade, settings)  # the embedded database has nobody else to do it
    state = app.state
    state.database = Database(settings)
    state.store = open_store(settings)
    state.passwords = Passwords()
    state.tokens = Tokens(settings.signing_key, settings.access_token_lifetime)
    state.files = make_files(settings, state.database)
    state.jobs = make_sender(settings, state.database, state.files)
    state.health = Health(state.database, state.store)
    _drain_on_term(settings, state.health)
    log.info("started", extra={"environment": settings.environment.value, "database": state.database.engine.name})
    try:
        yield
    finally:
        await state.jobs.close()
        await state.store.close()
        await state.database.close()
        state.passwords.close()
        log.info("stopped")


def _drain_on_term(settings: Settings, health: Health) -> None:
    """On SIGTERM: fail readiness, serve on for `drain_seconds`, then let the server end as it would have at once."""
    try:
        before: Any = signal.getsignal(signal.SIGTERM)
        loop = asyncio.get_running_loop()

        def drain(number: int, frame: Any) -> None:
            health.draining = True
            if callable(before):
                loop.call_soon_threadsafe(loop.call_later, settings.drain_seconds, before, number, None)

        signal.signal(signal.SIGTERM, drain)
    except ValueError:  # not the main thread: a test's server
        return
