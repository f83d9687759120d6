"""Alembic's entry, for `app.migrate` and for its own command alike; `migration_lock.py` lets one migrate at a time."""

import asyncio

from alembic import context
from sqlalchemy import Connection, Index

from app.core.observability.logging import configure_logging
from app.core.settings import Settings, get_settings
from app.migrations.migration_lock import run_alone
from app.models import Base


def run(connection: Connection) -> None:
    """Run the migrations that were asked for, each in a transaction, so that one of them may leave its own."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transaction_per_migration=True,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        include_object=lambda item, *_: _belongs_to(item, connection.dialect.name),
    )
    with context.begin_transaction():
        context.run_migrations()


def show(dialect: str) -> None:
    """Print the SQL of the migrations that were asked for; the database is not asked for anything."""
    context.configure(
        dialect_name=dialect, target_metadata=Base.metadata, transaction_per_migration=True, literal_binds=True
    )
    with context.begin_transaction():
        context.run_migrations()


def _belongs_to(item: object, dialect: str) -> bool:
    """Autogenerate does not look at `ddl_if`: an index of Postgres is not missing from SQLite."""
    if not isinstance(item, Index) or dialect == "postgresql":
        return True
    return not item.dialect_options["postgresql"]["using"]


settings: Settings | None = context.config.attributes.get("settings")
if settings is None:  # Alembic's own command
    settings = get_settings()
    configure_logging(settings.log_level, settings.release)
if context.is_offline_mode():
    show(settings.url.get_backend_name())
else:
    asyncio.run(run_alone(settings, run))
