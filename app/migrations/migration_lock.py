"""One migration at a time, wherever it is started; a failure says who was in the way and how the database is left.

`env.py` runs everything through `run_alone`, so `python -m app.migrate` and Alembic's own command keep the same rules.
"""

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.core.db.engine import postgres_arguments, prepare_sqlite
from app.core.observability.logging import first_line
from app.core.settings import Settings

log = logging.getLogger("app.migrate")
LOCK = 7_401_982_231
"""The advisory lock's key: any number that nothing else of this database uses."""
TURN_SECONDS = 600  # to wait for another migration's end
LOOK_SECONDS = 0.25  # between two looks at a lock
LOCK_NOT_AVAILABLE = "55P03"

# On the second connection: what the first one waits for, and who has it. Another role's state may be hidden.
IN_THE_WAY = text("""
    SELECT coalesce('table ' || wanted.relation::regclass, 'the end of a ' || wanted.locktype) AS wanted,
           holder.pid, coalesce(holder.usename, holder.backend_type) AS role,
           holder.application_name AS application, coalesce(holder.state, 'state hidden') AS state,
           round(extract(epoch FROM clock_timestamp() - holder.xact_start)) AS seconds
    FROM pg_locks AS wanted
    CROSS JOIN LATERAL unnest(pg_blocking_pids(wanted.pid)) AS blocking(pid)
    JOIN pg_stat_activity AS holder ON holder.pid = blocking.pid
    WHERE wanted.pid = :pid AND NOT wanted.granted
    ORDER BY holder.xact_start
    LIMIT 3
""")


class MigrationError(CommandError):
    """What went wrong and which revision the database is at, in one line; Alembic's command prints it as it is."""


async def run_alone(settings: Settings, work: Callable[[Connection], None]) -> None:
    """Run `work` when it is this process's turn. Raises MigrationError when it fails because of the database."""
    engine = _engine(settings)
    before: list[str] | None = None
    seen: list[str] = []
    try:
        # The lock belongs to the connection that migrates: it cannot be lost without the migration.
        async with engine.connect() as connection, _turn(settings, connection):
            before = await connection.run_sync(_heads)
            await connection.commit()  # Alembic begins a transaction for each revision, and leaves it where one asks
            async with _watch(engine, connection, seen):
                await connection.run_sync(work)
    except (DBAPIError, OSError) as error:
        reason = first_line(error)
        if getattr(getattr(error, "orig", None), "sqlstate", None) == LOCK_NOT_AVAILABLE and seen:
            reason = f"lock time-out after {settings.migration_lock_timeout:g} s: waited for {'; '.join(seen)}"
        raise MigrationError(f"{reason}; {await _state(engine, before)}") from error
    except CommandError:
        raise
    except Exception as error:  # a mistake in a revision: its traceback is wanted
        error.add_note(f"Of the migration: {await _state(engine, before)}.")
        raise
    finally:
        await engine.dispose()


async def current(settings: Settings) -> str:
    """The database's revision; `base` before the first."""
    engine = _engine(settings)
    try:
        async with engine.connect() as connection:
            return ", ".join(await connection.run_sync(_heads)) or "base"
    finally:
        await engine.dispose()


def _heads(connection: Connection) -> list[str]:
    return sorted(MigrationContext.configure(connection).get_current_heads())


def _engine(settings: Settings) -> AsyncEngine:
    if not settings.on_postgres:
        engine = create_async_engine(settings.url, poolclass=NullPool, connect_args={"timeout": TURN_SECONDS})
        # SQLite changes a table by making a new one; with foreign keys on, dropping the old one would delete what
        # refers to its rows.
        prepare_sqlite(engine, foreign_keys=False)
        return engine
    arguments = postgres_arguments(settings)
    arguments["command_timeout"] = None
    arguments["server_settings"] |= {
        "application_name": f"migrate-{settings.release[:40]}",
        "statement_timeout": "0",
        "lock_timeout": str(int(settings.migration_lock_timeout * 1000)),
        # A revision may compute for as long as it wants to. What has vanished without a word is noticed by TCP.
        "idle_in_transaction_session_timeout": "0",
        "tcp_keepalives_idle": "30",
    }
    return create_async_engine(settings.url, poolclass=NullPool, connect_args=arguments)


@asynccontextmanager
async def _turn(settings: Settings, connection: AsyncConnection) -> AsyncIterator[None]:
    """Wait for this process's turn; it ends with the connection, or with the block where the database is a file."""
    if settings.on_postgres:
        await _take_turn(connection)
        yield
        return
    # The folder's lock, because a second handle of the file, when it is closed, would end SQLite's own locks.
    folder = os.open(Path(settings.url.database or "").parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


async def _take_turn(connection: AsyncConnection) -> None:
    """Ask again and again: a statement that waits has a snapshot, and CREATE INDEX CONCURRENTLY waits for those."""
    deadline, has_waited = time.monotonic() + TURN_SECONDS, False
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
        await connection.commit()
        if time.monotonic() > deadline:
            raise MigrationError(f"another migration has not ended for {TURN_SECONDS} s; this one has done nothing")
        if not has_waited:
            log.info("another migration is running: waiting for its end")
        has_waited = True
        await asyncio.sleep(LOOK_SECONDS)
    await connection.commit()


@asynccontextmanager
async def _watch(engine: AsyncEngine, connection: AsyncConnection, seen: list[str]) -> AsyncIterator[None]:
    """Keep in `seen` what the connection waits for and who has it: the server's own message does not say."""
    if engine.dialect.name != "postgresql":
        yield
        return
    pid = await connection.scalar(text("SELECT pg_backend_pid()"))
    await connection.commit()
    task = asyncio.create_task(_look(engine, pid, seen))
    try:
        yield
    finally:
        task.cancel()
        (error,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(error, Exception):
            log.warning("could not look at locks", extra={"error": first_line(error)})


async def _look(engine: AsyncEngine, pid: int, seen: list[str]) -> None:
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        while True:
            waits_for = [
                f"{row.wanted}, held by pid {row.pid} ({row.role}, {row.application or 'no application name'}, "
                f"{row.state}{'' if row.seconds is None else f', in a transaction for {row.seconds} s'})"
                for row in await connection.execute(IN_THE_WAY, {"pid": pid})
            ]
            if waits_for and not seen:
                log.warning("migration waits", extra={"waits_for": waits_for})
            if waits_for:
                seen[:] = waits_for
            await asyncio.sleep(LOOK_SECONDS)


async def _state(engine: AsyncEngine, before: list[str] | None) -> str:
    """How the database is left, as it says itself."""
    if before is None:
        return "nothing was begun"
    try:
        async with engine.connect() as connection:
            now = await connection.run_sync(_heads)
    except (DBAPIError, OSError):
        return f"the database was at {_named(before)}, and does not answer now"
    former = "as before" if now == before else f"it was at {_named(before)}"
    return f"the database is at {_named(now)}, {former}"


def _named(heads: list[str]) -> str:
    return f"revision {', '.join(heads)}" if heads else "no revision"
