"""Alembic's entry: `app.migrate` gives it a connection; from the command line it makes one from the settings."""

import asyncio

from alembic import context
from sqlalchemy import Connection, Index
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.database import postgres_arguments
from app.core.settings import get_settings
from app.models import Base


def run(connection: Connection) -> None:
    """Run the migrations that were asked for, all in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        include_object=lambda item, *_: _belongs_to(item, connection.dialect.name),
    )
    with context.begin_transaction():
        context.run_migrations()


def _belongs_to(item: object, dialect: str) -> bool:
    """Autogenerate does not look at `ddl_if`: an index of Postgres is not missing from SQLite."""
    if not isinstance(item, Index) or dialect == "postgresql":
        return True
    return not item.dialect_options["postgresql"]["using"]


async def run_from_command_line() -> None:
    """`alembic revision --autogenerate`, `alembic downgrade` and the like."""
    settings = get_settings()
    arguments = postgres_arguments(settings) if settings.on_postgres else {}
    engine = create_async_engine(settings.owner_url, connect_args=arguments)
    async with engine.begin() as connection:
        await connection.run_sync(run)
    await engine.dispose()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    asyncio.run(run_from_command_line())
