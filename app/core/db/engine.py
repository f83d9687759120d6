"""Engines: Postgres with a pool, time-outs and TLS; SQLite prepared for several users. Failures have one name."""

import ssl
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import Dialect, event
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.core.errors import DatabaseUnavailableError
from app.core.observability import metrics
from app.core.observability.logging import first_line
from app.core.settings import Settings

BROKEN = (OSError, RuntimeError, asyncpg.InternalClientError)
"""What a broken connection raises besides the driver's errors. RuntimeError is uvloop's: the transport closed."""
READ_ONLY = "25006"
"""The SQLSTATE of a write to a standby."""


def make_engine(settings: Settings) -> AsyncEngine:
    """The engine of a process that serves or works."""
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
        if isinstance(error, BROKEN) and not isinstance(error, DatabaseUnavailableError):
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


def prepare_sqlite(engine: AsyncEngine, *, foreign_keys: bool = True) -> None:
    """Foreign keys, readers next to a writer, and writers that queue instead of failing half-way."""

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
