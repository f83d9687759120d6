"""The database: one engine with a pool, sessions that the request's dependency commits, and a fast way to read.

Reads that many callers make go through `Reader`: SQLAlchemy Core on a connection in AUTOCOMMIT, one round trip and
no transaction. Everything that writes goes through a `UnitOfWork`, one per request.
"""

import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Dialect, Executable, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from app.core import metrics, tracing
from app.core.errors import DatabaseUnavailableError, Problem
from app.core.logging import first_line
from app.core.prepared import Prepared
from app.core.settings import Settings

log = logging.getLogger("app.database")
Row = dict[str, Any]
"""A row by the names of its columns."""
READ_ONLY = "25006"
"""The SQLSTATE of a write to a standby."""


class Reader:
    """Runs single SELECT statements, each on its own connection, given back before the rows are used."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def rows(self, statement: Executable | Prepared, values: dict[str, Any] | None = None) -> Sequence[Row]:
        """All rows. A connection that turns out to be dead is replaced once: a read can be repeated safely."""
        try:
            return await self._rows(statement, values)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return await self._rows(statement, values)

    async def _rows(self, statement: Executable | Prepared, values: dict[str, Any] | None) -> Sequence[Row]:
        if isinstance(statement, Prepared):
            if self._engine.dialect.name == "postgresql":
                return await statement.fetch(self._engine, values or {})
            statement = statement.statement
        async with self._engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(statement, values)).mappings()]

    async def row(self, statement: Executable | Prepared, values: dict[str, Any] | None = None) -> Row | None:
        """The first row, if there is one."""
        rows = await self.rows(statement, values)
        return rows[0] if rows else None


class UnitOfWork:
    """One transaction, and what to do once it is committed: jobs to send, cache entries to drop."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self._after_commit: list[Callable[[], Awaitable[object]]] = []

    def after_commit(self, action: Callable[[], Awaitable[object]]) -> None:
        """Run `action` when the changes are visible to others; never when they are rolled back."""
        self._after_commit.append(action)

    async def commit(self) -> None:
        """Commit, then run the actions. One that fails is logged: what it announces has happened already."""
        await self.session.commit()
        for action in self._after_commit:
            try:
                await action()
            except Exception:
                log.exception("action after commit failed")


class Database:
    """The engine and the two ways to use it."""

    def __init__(self, settings: Settings) -> None:
        self.engine = _engine(settings)
        tracing.trace_engine(self.engine)
        self.reader = Reader(self.engine)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False, autoflush=False)

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[UnitOfWork]:
        """A unit of work that is committed at the end of the block, or rolled back by an exception."""
        async with self._sessions() as session:
            unit = UnitOfWork(session)
            try:
                yield unit
            except Problem as problem:
                if problem.keeps_changes:
                    await unit.commit()
                raise
            await unit.commit()

    async def ping(self) -> None:
        """One trivial query; raises when the database does not answer."""
        await self.reader.rows(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def _engine(settings: Settings) -> AsyncEngine:
    if not settings.on_postgres:
        engine = create_async_engine(settings.url, connect_args={"timeout": settings.database_statement_timeout})
        prepare_sqlite(engine)
        return engine
    engine = create_async_engine(
        settings.url,
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_max_overflow,
        pool_timeout=settings.database_pool_timeout,
        pool_recycle=1800,  # seconds; also how a rotated password reaches long-lived tasks
        connect_args=postgres_arguments(settings),
    )
    metrics.POOL_SIZE.set(settings.database_pool_size + settings.database_max_overflow)
    pool_events = engine.sync_engine
    event.listen(pool_events, "checkout", _refuse_closed)
    event.listen(pool_events, "checkout", lambda *_: metrics.POOL_IN_USE.inc())
    event.listen(pool_events, "checkin", lambda *_: metrics.POOL_IN_USE.dec())
    _name_failures(engine)
    return engine


def _name_failures(engine: AsyncEngine) -> None:
    """Whatever keeps the app from the database (a refused connection or password, a server that starts, a socket that
    breaks) is one kind of error; drivers raise a dozen, some of which other code raises too."""

    @event.listens_for(engine.sync_engine, "do_connect")
    def _connect(dialect: Dialect, _record: object, arguments: Any, options: Any) -> Any:
        try:
            return dialect.connect(*arguments, **options)
        except (OSError, dialect.loaded_dbapi.Error) as error:
            raise DatabaseUnavailableError(first_line(error)) from error

    @event.listens_for(engine.sync_engine, "handle_error")
    def _on_error(context: ExceptionContext) -> None:
        error = context.original_exception
        if getattr(error, "sqlstate", None) == READ_ONLY:
            context.is_disconnect = True  # the standby since a failover: the next connection leads elsewhere
        if isinstance(error, OSError) and not isinstance(error, DatabaseUnavailableError):
            raise DatabaseUnavailableError(first_line(error)) from error


def postgres_arguments(settings: Settings) -> dict[str, Any]:
    """asyncpg's connect arguments: time-outs in the server itself, and TLS that verifies chain and name."""
    arguments: dict[str, Any] = {
        "timeout": settings.database_connect_timeout,
        # The server gives up first; this is for a server that does not answer at all.
        "command_timeout": settings.database_statement_timeout + 2,
        "server_settings": {
            "application_name": f"{settings.slug}-{settings.release}"[:63],  # Postgres cuts at 63 bytes
            "statement_timeout": str(int(settings.database_statement_timeout * 1000)),
            "lock_timeout": str(int(settings.database_lock_timeout * 1000)),
            "idle_in_transaction_session_timeout": "30000",
            "jit": "off",  # compiling a query costs more than these queries do
        },
    }
    if settings.database_ssl_ca:
        arguments["ssl"] = tls_context(settings.database_ssl_ca)
    return arguments


def tls_context(authority: str) -> ssl.SSLContext:
    """A context that trusts this authority alone: PEM text, or the path of a PEM file."""
    if "-----BEGIN" in authority:
        return ssl.create_default_context(cadata=authority)
    return ssl.create_default_context(cafile=str(Path(authority)))


def _refuse_closed(connection: DBAPIConnection, *_: object) -> None:
    """Let the pool replace a connection that the server has closed: a ping without its round trip."""
    driver: Any = getattr(connection, "driver_connection", None)
    if driver is not None and driver.is_closed():
        raise DisconnectionError("closed by the server")


def prepare_sqlite(engine: AsyncEngine, *, foreign_keys: bool = True) -> None:
    """Foreign keys, readers beside a writer, and writers that queue instead of failing half-way."""

    @event.listens_for(engine.sync_engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin below, not when the driver thinks so
        cursor = connection.cursor()
        for pragma in (f"foreign_keys={foreign_keys:d}", "journal_mode=WAL", "synchronous=NORMAL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _on_begin(connection: Any) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
