"""CompiledQuery statements answer as SQLAlchemy would: the same values, types and errors, on both footings."""

from __future__ import annotations

import uuid
from datetime import UTC
from typing import Any

import pytest
from sqlalchemy import Integer, Numeric, String, bindparam, cast, column, func, literal, select, table, text
from sqlalchemy.exc import DBAPIError

from app.core.db.database import CompiledQuery, Database
from app.models import Item, User
from tests.app.conftest import Running, register

NUMBER = cast(literal(2), Numeric(asdecimal=False)).label("number")  # a type that the driver knows otherwise
STATEMENT = (
    select(*Item.__table__.columns, User.is_active, User.last_login_at, literal("a").label("fixed"), NUMBER)
    .join(User, User.id == Item.owner_id)
    .where(Item.owner_id == bindparam("owner"), Item.created_at > bindparam("after", type_=Item.created_at.type))
    .limit(bindparam("limit", type_=Integer))
)


@pytest.fixture
async def database(running: Running) -> Database:
    app = await running.app()
    found: Database = app.state.resources.database
    return found


@pytest.fixture
async def postgres_only(database: Database) -> Database:
    if database.engine.dialect.name != "postgresql":
        pytest.skip("of Postgres")
    return database


async def test_rows_are_the_same_as_sqlalchemys(running: Running) -> None:
    app = await running.app()
    user = await register(await running.client(app))
    await user.item("Lighthouse", description="Gebäude")
    reader = app.state.resources.database.reader
    item = await reader.row(select(Item.created_at).where(Item.owner_id == uuid.UUID(user.id)))
    values = {"owner": uuid.UUID(user.id), "after": item["created_at"].replace(year=2000), "limit": 5, "not asked": 1}
    fast, slow = await reader.row(CompiledQuery(STATEMENT), values), await reader.row(STATEMENT, values)
    assert fast == slow
    assert {name: type(value) for name, value in fast.items()} == {name: type(value) for name, value in slow.items()}
    assert fast["created_at"].tzinfo is UTC
    assert await reader.rows(CompiledQuery(STATEMENT), values | {"after": item["created_at"]}) == []


async def test_an_error_is_sqlalchemys_with_its_state_and_the_connection_is_given_back(postgres_only: Database) -> None:
    broken = CompiledQuery(select(cast(bindparam("number", type_=String), Integer).label("never")))
    for _ in range(30):  # more than the pool has
        with pytest.raises(DBAPIError) as raised:
            await postgres_only.reader.row(broken, {"number": "none"})
        assert getattr(raised.value.orig, "sqlstate", None) == "22P02"
    pool: Any = postgres_only.engine.pool
    assert pool.checkedout() == 0


async def test_a_connection_that_the_server_has_ended_is_told_and_replaced(postgres_only: Database) -> None:
    own = CompiledQuery(select(func.pg_terminate_backend(func.pg_backend_pid()).label("ended")))
    with pytest.raises(DBAPIError) as raised:
        await postgres_only.reader.row(own)
    assert raised.value.connection_invalidated
    assert await postgres_only.reader.row(CompiledQuery(select(func.pg_backend_pid().label("pid")))) is not None


async def test_a_table_may_change_under_a_statement(postgres_only: Database) -> None:
    """A migration while this process serves: the server has forgotten the statement's plan."""
    async with postgres_only.unit() as unit:
        await unit.session.execute(text("CREATE TABLE changing (a int)"))
        await unit.session.execute(text("INSERT INTO changing VALUES (1)"))
    statement = CompiledQuery(select(column("a", Integer)).select_from(table("changing")))
    assert await postgres_only.reader.row(statement) == {"a": 1}
    async with postgres_only.unit() as unit:
        await unit.session.execute(text("ALTER TABLE changing ALTER a TYPE bigint"))
    assert await postgres_only.reader.row(statement) == {"a": 1}
