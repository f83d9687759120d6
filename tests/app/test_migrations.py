"""Migrations: they agree with the models, go up and down from empty, and can be run twice and at once."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.settings import Settings
from app.migrate import config, upgrade, upgrade_postgres
from app.models import Base
from tests.app.conftest import KEY, new_database
from tests.app.servers import Server


def differences(connection: Connection) -> list[Any]:
    """What autogenerate would write. It does not know that the trigram index is for Postgres only."""
    found = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    if connection.dialect.name == "postgresql":
        return list(found)
    return [step for step in found if getattr(step[1], "name", "") != "ix_items_title_trigrams"]


def down(connection: Connection) -> None:
    alembic = config()
    alembic.attributes["connection"] = connection
    command.downgrade(alembic, "base")


def test_models_and_migrations_agree_on_sqlite(tmp_path: Any) -> None:
    settings = Settings(_env_file=None, secret_key=KEY, database_url=f"sqlite:///{tmp_path}/m.db")  # type: ignore[call-arg,arg-type]
    upgrade(settings)
    upgrade(settings)
    with create_engine(f"sqlite:///{tmp_path}/m.db").begin() as connection:
        assert differences(connection) == []
        down(connection)
        assert inspect(connection).get_table_names() == ["alembic_version"]


@pytest.fixture
async def fresh(postgres_server: tuple[Server, str]) -> Settings:
    url = await new_database(postgres_server[1])
    return Settings(_env_file=None, secret_key=KEY, database_url=url)  # type: ignore[call-arg,arg-type]


async def test_models_and_migrations_agree_on_postgres(fresh: Settings) -> None:
    await upgrade_postgres(fresh)
    engine = create_async_engine(fresh.url)
    async with engine.begin() as connection:
        assert await connection.run_sync(differences) == []
        await connection.run_sync(down)
        tables = await connection.run_sync(lambda c: inspect(c).get_table_names())
    await engine.dispose()
    assert tables == ["alembic_version"]


async def test_several_migrations_at_once_take_turns(fresh: Settings) -> None:
    await asyncio.gather(*(upgrade_postgres(fresh) for _ in range(4)))


async def test_the_apps_role_reads_and_writes_rows_and_nothing_more(fresh: Settings) -> None:
    owner = fresh.url
    role = f"app_{owner.database}"
    settings = Settings(
        _env_file=None,
        secret_key=KEY,  # type: ignore[arg-type]
        database_host=owner.host,
        database_port=owner.port or 5432,
        database_name=owner.database or "",
        database_user=role,
        database_password="it's \\ a password",  # type: ignore[arg-type]  # noqa: S106
        database_owner_user="owner",
        database_owner_password="unused",  # type: ignore[arg-type]  # noqa: S106
    )
    await upgrade_postgres(settings)
    await upgrade_postgres(settings)
    connection = await asyncpg.connect(
        host=owner.host,
        port=owner.port,
        user=role,
        password="it's \\ a password",  # noqa: S106 - of a role that this test makes
        database=owner.database,
    )
    try:
        assert await connection.fetchval("SELECT count(*) FROM users") == 0
        flags = await connection.fetchrow(
            "SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        )
        assert list(flags) == [False, False, False]
        for forbidden in ("CREATE TABLE t (a int)", "DROP TABLE users", "ALTER TABLE users ADD COLUMN a int"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(forbidden)
    finally:
        await connection.close()
