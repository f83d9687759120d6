"""Migrations: they agree with the models, take turns, and say the truth about how they left the database."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, insert, inspect
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.settings import Settings
from app.migrate import config, plan, upgrade
from app.migrations.migration_lock import LOCK, current
from app.models import Base, Item, User
from tests.app.conftest import KEY, copy_of_the_app, new_database
from tests.app.servers import Server, free_port
from tests.app.test_production import ROOT, environment

MIGRATE = (sys.executable, "-m", "app.migrate")
ALEMBIC = (sys.executable, "-m", "alembic", "-c", "app/alembic.ini", "upgrade", "head")
SECONDS = 120


def differences(connection: Connection) -> list[Any]:
    """What autogenerate would write. It does not know that the trigram index is for Postgres only."""
    found = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    if connection.dialect.name == "postgresql":
        return list(found)
    return [step for step in found if getattr(step[1], "name", "") != "ix_items_title_trigrams"]


def test_models_and_migrations_agree_on_sqlite(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, secret_key=KEY, database_url=f"sqlite:///{tmp_path}/m.db")  # type: ignore[call-arg,arg-type]
    upgrade(settings)
    upgrade(settings)
    with create_engine(f"sqlite:///{tmp_path}/m.db").begin() as connection:
        assert differences(connection) == []
    command.downgrade(config(settings), "base")
    with create_engine(f"sqlite:///{tmp_path}/m.db").begin() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]


@pytest.fixture
async def fresh(postgres_server: tuple[Server, str]) -> Settings:
    url = await new_database(postgres_server[1])
    return Settings(_env_file=None, secret_key=KEY, database_url=url)  # type: ignore[call-arg,arg-type]


async def test_models_and_migrations_agree_on_postgres(fresh: Settings) -> None:
    await asyncio.to_thread(upgrade, fresh)
    engine = create_async_engine(fresh.url)
    async with engine.begin() as connection:
        assert await connection.run_sync(differences) == []
    await asyncio.to_thread(command.downgrade, config(fresh), "base")
    async with engine.begin() as connection:
        tables = await connection.run_sync(lambda c: inspect(c).get_table_names())
    await engine.dispose()
    assert tables == ["alembic_version"]


async def test_a_plan_is_the_sql_from_where_the_database_is_and_changes_nothing(
    fresh: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.to_thread(plan, fresh)
    assert "CREATE TABLE users" in capsys.readouterr().out
    assert await current(fresh) == "base"
    await asyncio.to_thread(upgrade, fresh)
    capsys.readouterr()
    await asyncio.to_thread(plan, fresh)
    assert "TABLE" not in capsys.readouterr().out


def test_a_plan_of_a_revision_that_asks_the_database_names_it(tmp_path: Path) -> None:
    copy_of_the_app(tmp_path)
    revision = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    if not sa.inspect(op.get_bind()).has_table("notes"):
        op.create_table("notes", sa.Column("id", sa.Integer(), primary_key=True))
"""
    (tmp_path / "app" / "migrations" / "versions" / "0002_asks.py").write_text(revision)
    variables = environment(DATA_DIR=str(tmp_path / "data"), PYTHONPATH=str(tmp_path))
    done = subprocess.run([*MIGRATE, "--plan"], cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert done.returncode == 1
    assert "CREATE TABLE users" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert line["error"].startswith("revision 0002: its SQL depends on the database")


@dataclass
class Ended:
    """How a command ended: its exit code, and all that it printed."""

    code: int | None
    output: str

    @property
    def error(self) -> str:
        """The one line of the log that says why."""
        (line,) = [json.loads(line) for line in self.output.splitlines() if '"migration failed"' in line]
        return str(line["error"])


class Tree:
    """A copy of the app with revisions of a test's own, on a database that was at the app's own head before."""

    HEAD = str(ScriptDirectory(str(ROOT / "app" / "migrations")).get_current_head())

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.head = self.HEAD
        copy_of_the_app(folder)

    def revision(self, name: str, *statements: str) -> None:
        body = "".join(f"    {statement}\n" for statement in statements)
        text = f"from alembic import op\nrevision = {name!r}\ndown_revision = {self.head!r}\n\ndef upgrade():\n{body}"
        (self.folder / "app" / "migrations" / "versions" / f"{name}.py").write_text(text)
        self.head = name

    @asynccontextmanager
    async def started(self, program: tuple[str, ...] = MIGRATE, **more: str) -> AsyncIterator[asyncio.Task[Ended]]:
        variables = environment(DATABASE_URL=self.url, PYTHONPATH=str(self.folder), **more)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *program, cwd=self.folder, env=variables, stdout=pipe, stderr=asyncio.subprocess.STDOUT
        )

        async def end() -> Ended:
            output, _ = await process.communicate()
            return Ended(process.returncode, output.decode())

        task = asyncio.create_task(end())
        try:
            yield task
        finally:
            if process.returncode is None:
                process.kill()
            await task

    async def run(self, program: tuple[str, ...] = MIGRATE, **more: str) -> Ended:
        async with self.started(program, **more) as task:
            return await asyncio.wait_for(task, SECONDS)


@pytest.fixture
async def tree(fresh: Settings, tmp_path: Path) -> Tree:
    await asyncio.to_thread(upgrade, fresh)
    return Tree(tmp_path, fresh.url.set(drivername="postgresql").render_as_string(hide_password=False))


@asynccontextmanager
async def session(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, server_settings={"application_name": "a report"})
    try:
        yield connection
    finally:
        await connection.close()


async def eventually(connection: asyncpg.Connection, query: str, *values: Any) -> Any:
    for _ in range(SECONDS * 20):
        if found := await connection.fetchval(query, *values):
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"never: {query}")


RUNS = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()"
SLEEPS = "op.execute('SELECT pg_sleep(2)')"


@pytest.mark.parametrize("program", [MIGRATE, ALEMBIC])
async def test_the_second_of_two_waits_for_the_first_and_both_succeed(tree: Tree, program: tuple[str, ...]) -> None:
    tree.revision("slow", SLEEPS, "op.execute('CREATE TABLE once (a int)')")
    ends = await asyncio.gather(tree.run(program), tree.run(program), tree.run(MIGRATE))
    assert [end.code for end in ends] == [0, 0, 0], ends
    assert sum("Running upgrade" in end.output for end in ends) == 1


async def test_the_lock_belongs_to_the_connection_that_migrates_and_no_time_out_ends_it(tree: Tree) -> None:
    """A guard of its own was ended while it was idle, after 30 s; then both migrated at once."""
    none = "(current_setting('idle_in_transaction_session_timeout') = '0')::int"
    tree.revision("slow", f'op.execute("SELECT pg_sleep(2), 1 / {none}")')
    async with session(tree.url) as other, tree.started() as migration:
        migrating = await eventually(other, RUNS, "%pg_sleep%")
        locked = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = $1::bigint % 4294967296"
        assert await other.fetchval(locked, LOCK) == migrating
        assert (await migration).code == 0


async def test_an_index_can_be_made_while_another_migration_waits(tree: Tree) -> None:
    """One that waited in the server would have a snapshot, for whose end CREATE INDEX CONCURRENTLY waits."""
    tree.revision("before", SLEEPS)
    tree.revision(
        "index",
        "with op.get_context().autocommit_block():",
        "    op.execute('CREATE INDEX CONCURRENTLY ix_made ON items (description)')",
    )
    ends = await asyncio.gather(tree.run(), tree.run())
    assert [end.code for end in ends] == [0, 0], ends
    async with session(tree.url) as other:
        assert await other.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_made'::regclass")


@pytest.mark.parametrize("program", [MIGRATE, ALEMBIC])
async def test_a_lock_time_out_says_on_which_table_and_who_has_it(tree: Tree, program: tuple[str, ...]) -> None:
    tree.revision("column", "op.execute('ALTER TABLE items ADD COLUMN more int')")
    async with session(tree.url) as other, other.transaction():
        await other.execute("SELECT count(*) FROM items")
        pid = await other.fetchval("SELECT pg_backend_pid()")
        end = await tree.run(program, MIGRATION_LOCK_TIMEOUT="1.5")
    assert end.code not in (0, None)
    error = end.error if program is MIGRATE else end.output
    assert "lock time-out after 1.5 s: waited for table items, held by" in error
    assert f"pid {pid} (owner, a report, idle in transaction, in a transaction for" in error
    assert f"the database is at revision {Tree.HEAD}, as before" in error
    assert "Traceback" not in end.output
    assert (await tree.run(program)).code == 0


async def test_what_is_done_before_a_failure_is_told(tree: Tree) -> None:
    tree.revision("first", "op.execute('CREATE TABLE stays (a int)')")
    tree.revision("second", "op.execute('CREATE TABLE goes (a int)')", "op.execute('SELECT 1/0')")
    end = await tree.run()
    assert end.code == 1
    assert "division by zero" in end.error
    assert f"the database is at revision first, it was at revision {Tree.HEAD}" in end.error
    async with session(tree.url) as other:
        kept = await other.fetch("SELECT to_regclass('stays') IS NULL AS a, to_regclass('goes') IS NULL AS b")
    assert tuple(kept[0]) == (False, True)


async def test_a_connection_that_is_ended_is_a_reason_and_not_a_traceback(tree: Tree) -> None:
    tree.revision("slow", "op.execute('CREATE TABLE goes (a int)')", "op.execute('SELECT pg_sleep(60)')")
    async with session(tree.url) as other, tree.started() as migration:
        await other.execute("SELECT pg_terminate_backend($1)", await eventually(other, RUNS, "%pg_sleep%"))
        end = await migration
        assert await other.fetchval("SELECT to_regclass('goes')") is None
    assert end.code == 1
    assert "terminating connection" in end.error
    assert f"the database is at revision {Tree.HEAD}, as before" in end.error
    assert "Traceback" not in end.output


async def test_a_database_that_is_not_there_had_nothing_done_to_it(tree: Tree) -> None:
    tree.url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    end = await tree.run()
    assert end.code == 1
    assert end.error.endswith("nothing was begun")


async def test_a_mistake_in_a_revision_has_its_traceback_and_the_same_truth(tree: Tree) -> None:
    tree.revision("mistake", "raise KeyError('no such thing')")
    end = await tree.run()
    assert end.code == 1
    assert re.search(r"mistake\.py.*KeyError: 'no such thing'", end.output, re.DOTALL)
    assert f"the database is at revision {Tree.HEAD}, as before" in end.output


async def test_two_at_once_take_turns_on_the_embedded_database_and_leave_no_other_file(tmp_path: Path) -> None:
    tree = Tree(tmp_path, f"sqlite:///{tmp_path}/data/app.db")
    (tmp_path / "data").mkdir()
    # Outside of a transaction, where SQLite's own lock does not help.
    slow = "with op.get_context().autocommit_block(): time.sleep(1)"
    tree.revision("slow", "import time", slow, "op.execute('CREATE TABLE once (a int)')")
    ends = await asyncio.gather(*(tree.run() for _ in range(3)))
    assert [end.code for end in ends] == [0, 0, 0], ends
    names = {path.name for path in (tmp_path / "data").iterdir()}
    assert names <= {"app.db", "app.db-wal", "app.db-shm"}


async def test_changing_a_table_of_the_embedded_database_keeps_the_rows_that_refer_to_it(tmp_path: Path) -> None:
    tree = Tree(tmp_path, f"sqlite:///{tmp_path}/app.db")
    assert (await tree.run()).code == 0
    with create_engine(tree.url).begin() as connection:
        user = connection.scalar(insert(User).values(email="", display_name="", password_hash="").returning(User.id))
        connection.execute(insert(Item).values(owner_id=user, title=""))
    tree.revision(
        "rebuild",
        "with op.batch_alter_table('users', recreate='always') as users:",
        "    import sqlalchemy as sa",
        "    users.add_column(sa.Column('nickname', sa.String(), nullable=True))",
    )
    end = await tree.run()
    assert end.code == 0, end.output
    with create_engine(tree.url).begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM items").scalar_one() == 1
