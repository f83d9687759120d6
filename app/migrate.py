"""`python -m app.migrate`: what a release runs before traffic moves. Safe to run twice, and by several at once.

With the owner's credentials (DATABASE_OWNER_USER and _PASSWORD) it also makes the app's own role, which owns nothing
and may only read and write rows, and gives it DATABASE_PASSWORD.
"""

import asyncio
import fcntl
import logging
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from app.core.database import postgres_arguments
from app.core.logging import configure_logging, first_line
from app.core.settings import Settings, get_settings

log = logging.getLogger("app.migrate")
LOCK = 7_401_982_231
"""The advisory lock's key: any number that nothing else of this database uses."""
LOCK_TIMEOUT = "30s"
"""For a table's lock; the old revision's queries must not queue behind a migration for longer."""


def config() -> Config:
    """Alembic's configuration, wherever the process was started."""
    found = Config()
    found.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return found


def upgrade(settings: Settings, revision: str = "head") -> None:
    """Bring the embedded database up to date. Processes that start at once take turns."""
    path = Path(str(settings.url.database))
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        engine = create_engine(settings.url.set(drivername="sqlite"))
        with engine.begin() as connection:
            _run(connection, revision)
        engine.dispose()


async def upgrade_postgres(settings: Settings, revision: str = "head") -> None:
    """Bring Postgres up to date, and make the app's role."""
    arguments = postgres_arguments(settings)
    arguments["command_timeout"] = None
    arguments["server_settings"] |= {"statement_timeout": "0", "lock_timeout": LOCK_TIMEOUT}
    engine = create_async_engine(settings.owner_url, connect_args=arguments)
    try:
        async with engine.connect() as guard:
            # On a connection of its own: held until the migrations are committed, released even if this dies.
            await guard.execute(text("SET lock_timeout = '10min'"))
            await guard.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
            async with engine.begin() as connection:
                await connection.run_sync(_run, revision)
                if settings.database_owner_user is not None:
                    await _make_role(connection, settings)
    finally:
        await engine.dispose()


def _run(connection: Connection, revision: str) -> None:
    alembic = config()
    alembic.attributes["connection"] = connection
    command.upgrade(alembic, revision)


async def _make_role(connection: AsyncConnection, settings: Settings) -> None:
    """A role for the app: no superuser, makes no roles or databases, owns nothing."""
    role = settings.database_user
    quoted = await _quote(connection, "quote_ident", role)
    database = await _quote(connection, "quote_ident", settings.database_name)
    exists = (await connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})).scalar()
    if not exists:
        await connection.execute(text(f"CREATE ROLE {quoted} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE"))
    if settings.database_password is not None:
        password = await _quote(connection, "quote_literal", settings.database_password.get_secret_value())
        await connection.exec_driver_sql(f"ALTER ROLE {quoted} PASSWORD {password}")
    for statement in (
        f"GRANT CONNECT ON DATABASE {database} TO {quoted}",
        f"GRANT USAGE ON SCHEMA public TO {quoted}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {quoted}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {quoted}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {quoted}",
    ):
        await connection.exec_driver_sql(statement)


async def _quote(connection: AsyncConnection, function: str, value: str) -> str:
    """Let the server quote: a role and a password cannot be parameters of these statements."""
    return str((await connection.execute(text(f"SELECT {function}(:value)"), {"value": value})).scalar_one())


def main() -> int:
    """Migrate, and say how it went."""
    settings = get_settings()
    configure_logging(settings.log_level, settings.release)
    try:
        if settings.on_postgres:
            asyncio.run(upgrade_postgres(settings))
        else:
            upgrade(settings)
    except (DBAPIError, OSError) as error:
        log.error("migration failed, nothing was changed", extra={"error": first_line(error)})
        return 1
    log.info("database is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
