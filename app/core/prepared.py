"""A SELECT that is asked again and again: its SQL is made once, and on Postgres asyncpg runs it without SQLAlchemy's
layers in between, which took longer than the query (docs/app.md, Speed). Pool, types and errors stay SQLAlchemy's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import Select
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from app.core import tracing
from app.core.errors import DatabaseUnavailableError
from app.core.logging import first_line

DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
Converter = Callable[[Any], Any] | None


@dataclass(frozen=True)
class _Compiled:
    """The statement in Postgres' words."""

    sql: str
    fixed: dict[str, Any]
    """Values that the statement itself holds."""
    values: tuple[tuple[str, Converter], ...]
    """The values' names in the order of $1, $2 ..., each with what makes it the driver's."""


class Prepared:
    """A statement whose values are bound by name: `bindparam("item")`. Make it once, where the module is loaded."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self.statement = statement
        self._columns: list[tuple[str, Converter]] | None = None  # each with what makes a value of the driver the app's

    async def fetch(self, engine: AsyncEngine, values: dict[str, Any]) -> list[dict[str, Any]]:
        """All rows, on Postgres. Raises DBAPIError as SQLAlchemy would."""
        compiled = self._compiled
        given = compiled.fixed | values
        arguments = [convert(given[name]) if convert else given[name] for name, convert in compiled.values]
        pooled = await engine.raw_connection()
        try:
            driver: Any = pooled.driver_connection
            try:
                if self._columns is None:
                    self._columns = self._convert_columns(await driver.prepare(compiled.sql))
                with tracing.statement_span(compiled.sql):
                    records = await driver.fetch(compiled.sql, *arguments)
            except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                lost = driver.is_closed()
                if lost:
                    pooled.invalidate(error)
                raise DBAPIError(compiled.sql, None, error, connection_invalidated=lost) from error
            except OSError as error:
                raise DatabaseUnavailableError(first_line(error)) from error
        finally:
            await greenlet_spawn(pooled.close)
        columns = self._columns
        return [
            {name: convert(value) if convert else value for (name, convert), value in zip(columns, record, strict=True)}
            for record in records
        ]

    @cached_property
    def _compiled(self) -> _Compiled:
        compiled: Any = self.statement.compile(dialect=DIALECT)
        return _Compiled(
            str(compiled),
            {name: value for name, value in compiled.params.items() if value is not None},
            tuple((name, compiled._bind_processors.get(name)) for name in compiled.positiontup),
        )

    def _convert_columns(self, prepared: Any) -> list[tuple[str, Converter]]:
        """By what the app wants and what the driver brings, which some types depend on."""
        columns = zip(self.statement.selected_columns, prepared.get_attributes(), strict=True)
        return [
            (column.name, column.type.dialect_impl(DIALECT).result_processor(DIALECT, brought.type.oid))
            for column, brought in columns
        ]
