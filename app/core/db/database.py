"""The database of a process: one engine with a pool, transactions that the request's dependency commits, and reads.

Everything that writes goes through a `UnitOfWork`, one per request. Reads are single SELECT statements, each on its own
connection in AUTOCOMMIT, given back before the rows are used: one round trip and no transaction. A statement that is
asked again and again is a `CompiledQuery`: its SQL is made once, and on Postgres asyncpg runs it without SQLAlchemy's
layers in between, which take longer than the query (docs/app.md, Speed). Pool, types and errors stay SQLAlchemy's.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import cached_property
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import Executable, Select, event, text
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.util import greenlet_spawn

from app.core.cache import ResponseCache
from app.core.db.engine import make_engine
from app.core.errors import DatabaseUnavailableError, Problem, StoreUnavailableError
from app.core.observability import metrics, tracing
from app.core.observability.logging import first_line
from app.core.settings import Settings

log = logging.getLogger("app.database")
DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
Converter = Callable[[Any], Any] | None
Row = dict[str, Any]
"""A row by the names of its columns."""


class CompiledQuery:
    """A statement whose values are bound by name: `bindparam("item")`. Make it once, where the module is loaded."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self.statement = statement
        # Each column's name, with what makes a value of the driver the app's.
        self._columns: list[tuple[str, Converter]] | None = None

    async def fetch(self, engine: AsyncEngine, values: Row) -> list[Row]:
        """All rows, on Postgres.

        Raises:
            DBAPIError: as SQLAlchemy would.
            DatabaseUnavailableError: the connection broke.
        """
        sql, own_values, parameters = self._compiled
        given = own_values | values
        arguments = [convert(given[name]) if convert else given[name] for name, convert in parameters]
        pooled = await engine.raw_connection()
        try:
            driver: Any = pooled.driver_connection
            try:
                if self._columns is None:
                    self._columns = self._convert_columns(await driver.prepare(sql))
                with tracing.statement_span(sql) if tracing.is_on else nullcontext():
                    records = await driver.fetch(sql, *arguments)
            except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                lost = driver.is_closed()
                if lost:
                    pooled.invalidate(error)
                raise DBAPIError(sql, None, error, connection_invalidated=lost) from error
            except Exception as error:  # the socket's, the event loop's or the driver's own: the connection broke
                pooled.invalidate(error)
                raise DatabaseUnavailableError(first_line(error)) from error
        finally:
            await greenlet_spawn(pooled.close)
        columns = self._columns
        return [
            {name: convert(value) if convert else value for (name, convert), value in zip(columns, record, strict=True)}
            for record in records
        ]

    @cached_property
    def _compiled(self) -> tuple[str, Row, list[tuple[str, Converter]]]:
        """The SQL, the values that the statement itself holds, and the names of $1, $2 ..., each with what makes a
        value the driver's."""
        compiled = self.statement.compile(dialect=DIALECT)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - a SELECT's
        state = compiled.construct_expanded_state(compiled.params)
        types = {name: compiled.binds[name].type for name in state.positiontup or ()}
        own_values: Row = {name: value for name, value in compiled.params.items() if value is not None}
        parameters: list[tuple[str, Converter]] = [
            (name, kind.dialect_impl(DIALECT).bind_processor(DIALECT)) for name, kind in types.items()
        ]
        return state.statement, own_values, parameters

    def _convert_columns(self, prepared: Any) -> list[tuple[str, Converter]]:
        """By what the app wants and what the driver brings, which some types depend on."""
        columns = zip(self.statement.selected_columns, prepared.get_attributes(), strict=True)
        return [
            (column.name, column.type.dialect_impl(DIALECT).result_processor(DIALECT, brought.type.oid))
            for column, brought in columns
        ]


class Reader:
    """Runs SELECT statements."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def rows(self, statement: Executable | CompiledQuery, values: Row | None = None) -> Sequence[Row]:
        """All rows. A connection that turns out to be dead is replaced once: a read can be repeated safely."""
        try:
            return await self._rows(statement, values)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return await self._rows(statement, values)

    async def _rows(self, statement: Executable | CompiledQuery, values: Row | None) -> Sequence[Row]:
        if isinstance(statement, CompiledQuery):
            if self._engine.dialect.name == "postgresql":
                return await statement.fetch(self._engine, values or {})
            statement = statement.statement
        async with self._engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(statement, values)).mappings()]

    async def row(self, statement: Executable | CompiledQuery, values: Row | None = None) -> Row | None:
        """The first row, if there is one."""
        rows = await self.rows(statement, values)
        return rows[0] if rows else None

    async def value(self, statement: Executable | CompiledQuery, values: Row | None = None) -> Any:
        """The only value of the only row."""
        ((value,),) = [row.values() for row in await self.rows(statement, values)]
        return value


class UnitOfWork:
    """One transaction, and what to do once it is committed: jobs to send, cached responses to drop."""

    def __init__(self, session: AsyncSession, cache: ResponseCache | None) -> None:
        self.session, self._cache = session, cache
        self._after_commit: list[Callable[[], Awaitable[object]]] = []
        self._changed_groups: set[str] = set()

    def after_commit(self, action: Callable[[], Awaitable[object]]) -> None:
        """Run `action` when the changes are visible to others; never when they are rolled back."""
        self._after_commit.append(action)

    def invalidate(self, *groups: str) -> None:
        """Drop the cached responses of these groups when the changes are visible to others."""
        self._changed_groups.update(groups)

    async def commit(self) -> None:
        """Commit, then run the actions. One that fails is logged: what it announces has happened already."""
        await self.session.commit()
        if self._cache and self._changed_groups:
            with suppress(StoreUnavailableError):  # the cache tries again by itself
                await self._cache.invalidate(*self._changed_groups)
        for action in self._after_commit:
            try:
                await action()
            except Exception:
                log.exception("action after commit failed")


class Database:
    """The engine and the two ways to use it."""

    def __init__(self, settings: Settings) -> None:
        self.engine = make_engine(settings)
        if tracing.is_on:
            tracing.trace_engine(self.engine)
        if settings.on_postgres:
            pool = self.engine.sync_engine
            event.listen(pool, "checkout", _refuse_closed)
            event.listen(pool, "checkout", lambda *_: metrics.POOL_IN_USE.inc())
            event.listen(pool, "checkin", lambda *_: metrics.POOL_IN_USE.dec())
        self.reader = Reader(self.engine)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False, autoflush=False)

    @asynccontextmanager
    async def unit(self, cache: ResponseCache | None = None) -> AsyncIterator[UnitOfWork]:
        """A unit of work that is committed at the end of the block, or rolled back by an exception. `cache`: where it
        drops responses."""
        async with self._sessions() as session:
            unit = UnitOfWork(session, cache)
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

    async def aclose(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def _refuse_closed(connection: DBAPIConnection, *_: object) -> None:
    """Let the pool replace a connection that the server has closed: a ping without its round trip."""
    driver: Any = getattr(connection, "driver_connection", None)
    if driver is not None and driver.is_closed():
        raise DisconnectionError("closed by the server")
