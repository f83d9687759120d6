"""The daily clean-up: what is old goes, in batches; what is not stays; how it went is a log line and an exit code."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select

from app.core.db.database import Database
from app.jobs import cleanup
from app.jobs.cleanup import BATCH, EXPORTS_KEPT, KEYS_KEPT, clean_up
from app.models import Base, Export, ExportFile, IdempotencyKey, RefreshToken, utc_now
from tests.app.conftest import Running, User, register
from tests.app.servers import Server, free_port
from tests.app.test_production import ROOT, environment

NOTHING = {"refresh_tokens": 0, "idempotency_keys": 0, "exports": 0}
MOMENT = timedelta(microseconds=1)


class World:
    """A database in which nothing is old yet, and an account whose rows become so."""

    def __init__(self, running: Running, database: Database, user: User, now: datetime) -> None:
        self.running, self.database, self.user, self.now = running, database, user, now
        self.owner = uuid.UUID(user.id)

    async def add(self, model: type[Base], *rows: dict[str, Any]) -> None:
        async with self.database.unit() as unit:
            await unit.session.execute(insert(model), list(rows))

    def token(self, expires_at: datetime, **more: Any) -> dict[str, Any]:
        fields = {"id": uuid.uuid4(), "family_id": uuid.uuid4(), "token_hash": uuid.uuid4().hex}
        return {"user_id": self.owner, "expires_at": expires_at, **fields, **more}

    def key(self, created_at: datetime, key: str = "") -> dict[str, Any]:
        key = key or uuid.uuid4().hex
        return {"user_id": self.owner, "key": key, "request_hash": "", "answer": "{}", "created_at": created_at}

    def export(self, finished_at: datetime | None, status: str = "done") -> dict[str, Any]:
        # As old as can be, so that its end alone decides.
        asked = self.now - 3 * EXPORTS_KEPT
        fields = {"status": status, "created_at": asked, "started_at": asked, "finished_at": finished_at}
        return {"id": uuid.uuid4(), "owner_id": self.owner, **fields}

    async def left(self, column: Any, owner: Any) -> set[Any]:
        rows = await self.database.reader.rows(select(column).where(owner == self.owner))
        return {row[column.key] for row in rows}

    async def run(self, **more: str) -> subprocess.CompletedProcess[str]:
        secret = self.running.base.database_url
        assert secret is not None
        return await command(DATABASE_URL=secret.get_secret_value(), **more)


async def command(**variables: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "app.jobs.cleanup"],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
    )


@pytest.fixture
async def world(running: Running) -> World:
    app = await running.app()
    user = await register(await running.client(app))
    now = utc_now()
    await clean_up(app.state.resources.database, now)  # other tests' rows, which are in the same database
    return World(running, app.state.resources.database, user, now)


async def test_expired_refresh_tokens_go_and_those_that_can_be_used_stay(world: World) -> None:
    at_login = await world.left(RefreshToken.id, RefreshToken.user_id)
    old = world.token(world.now - MOMENT)
    used = world.token(world.now - MOMENT, used_at=world.now - timedelta(days=1))
    last_moment = world.token(world.now)
    # It cannot be used, but it has to be known: when it comes back, its family is revoked.
    used_before = world.token(world.now + timedelta(days=1), used_at=world.now - timedelta(days=1))
    await world.add(RefreshToken, old, used, last_moment, used_before)
    assert await clean_up(world.database, world.now) == NOTHING | {"refresh_tokens": 2}
    left = await world.left(RefreshToken.id, RefreshToken.user_id)
    assert left == at_login | {last_moment["id"], used_before["id"]}
    answer = await world.user.api.post(
        "/api/v1/auth/refresh", json={"refresh_token": world.user.tokens["refresh_token"]}
    )
    assert answer.status_code == 200


async def test_idempotency_keys_are_remembered_for_24_hours(world: World) -> None:
    assert timedelta(hours=24) == KEYS_KEPT
    old = world.key(world.now - KEYS_KEPT - MOMENT)
    last_moment = world.key(world.now - KEYS_KEPT)
    new = world.key(world.now)
    await world.add(IdempotencyKey, old, last_moment, new)
    assert await clean_up(world.database, world.now) == NOTHING | {"idempotency_keys": 1}
    assert await world.left(IdempotencyKey.key, IdempotencyKey.user_id) == {last_moment["key"], new["key"]}


async def test_the_same_key_of_two_users_is_two_keys(world: World) -> None:
    other = await register(world.user.api, "Grace")
    theirs = world.key(world.now, "the-same") | {"user_id": uuid.UUID(other.id)}
    await world.add(IdempotencyKey, world.key(world.now - 2 * KEYS_KEPT, "the-same"), theirs)
    assert await clean_up(world.database, world.now) == NOTHING | {"idempotency_keys": 1}
    rows = await world.database.reader.rows(select(IdempotencyKey.user_id).where(IdempotencyKey.key == "the-same"))
    assert theirs["user_id"] in {row["user_id"] for row in rows}
    assert world.owner not in {row["user_id"] for row in rows}


async def test_exports_go_with_their_files_30_days_after_they_ended(world: World) -> None:
    long_ago = world.now - EXPORTS_KEPT - MOMENT
    gone = [world.export(long_ago), world.export(long_ago, "failed")]
    kept = [
        world.export(world.now - EXPORTS_KEPT),
        world.export(world.now - EXPORTS_KEPT, "failed"),
        world.export(None, "pending"),
        world.export(None, "running"),
        # These failed once, long ago, and are tried again.
        world.export(long_ago, "pending"),
        world.export(long_ago, "running"),
    ]
    await world.add(Export, *gone, *kept)
    files = [{"export_id": export["id"], "content": b"id"} for export in (gone[0], kept[0])]
    await world.add(ExportFile, *files)
    assert await clean_up(world.database, world.now) == NOTHING | {"exports": 2}
    assert await world.left(Export.id, Export.owner_id) == {export["id"] for export in kept}
    rows = await world.database.reader.rows(select(ExportFile.export_id))
    assert {file["export_id"] for file in files} & {row["export_id"] for row in rows} == {kept[0]["id"]}
    assert (await world.user.get(f"/items/exports/{gone[0]['id']}/file")).status_code == 404
    assert (await world.user.get(f"/items/exports/{kept[0]['id']}/file")).text == "id"


@pytest.fixture
def commits(world: World) -> Iterator[list[int]]:
    """One entry a transaction: how many rows its DELETE took."""
    seen: list[int] = []
    engine = world.database.engine.sync_engine
    waiting: list[int] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "DELETE FROM" in statement:
            waiting.append(cursor.rowcount)

    def committed(_: Any) -> None:
        seen.append(sum(waiting))
        waiting.clear()

    event.listen(engine, "after_cursor_execute", note)
    event.listen(engine, "commit", committed)
    yield seen
    event.remove(engine, "after_cursor_execute", note)
    event.remove(engine, "commit", committed)


async def test_a_backlog_is_deleted_in_batches_each_in_its_own_transaction(world: World, commits: list[int]) -> None:
    rows = 2 * BATCH + 1
    await world.add(IdempotencyKey, *(world.key(world.now - 2 * KEYS_KEPT) for _ in range(rows)))
    await world.add(RefreshToken, *(world.token(world.now - MOMENT) for _ in range(BATCH)))
    commits.clear()
    counts = await clean_up(world.database, world.now)
    assert counts == NOTHING | {"idempotency_keys": rows, "refresh_tokens": BATCH}
    assert len(commits) == 4
    assert await world.left(IdempotencyKey.key, IdempotencyKey.user_id) == set()


async def test_twice_is_harmless_and_at_once_counts_every_row_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "BATCH", 10)
    await world.add(RefreshToken, *(world.token(world.now - MOMENT) for _ in range(95)))
    runs = await asyncio.gather(*(clean_up(world.database, world.now) for _ in range(4)))
    assert sum(counts["refresh_tokens"] for counts in runs) == 95
    assert await clean_up(world.database, world.now) == NOTHING


async def test_a_row_that_somebody_has_locked_is_left_to_the_next_run(world: World) -> None:
    if not world.running.base.on_postgres:
        pytest.skip("SQLite locks no rows")
    locked, free = world.token(world.now - MOMENT), world.token(world.now - MOMENT)
    await world.add(RefreshToken, locked, free)
    async with world.database.unit() as unit:
        await unit.session.execute(select(RefreshToken.id).where(RefreshToken.id == locked["id"]).with_for_update())
        assert (await clean_up(world.database, world.now))["refresh_tokens"] == 1
    assert (await clean_up(world.database, world.now))["refresh_tokens"] == 1


async def test_an_export_that_is_tried_again_meanwhile_is_not_deleted(world: World) -> None:
    """Between finding a row and locking it there is time for a worker to claim it."""
    from app.jobs.exports import export as run_export
    from app.jobs.files import DatabaseFiles
    from app.jobs.job import JobContext

    export = world.export(world.now - EXPORTS_KEPT - MOMENT, "failed")
    await world.add(Export, export)
    database, reader = world.database, world.database.reader

    class Slow:
        """A reader whose answer is old when it arrives."""

        async def rows(self, statement: Any) -> Any:
            found = await reader.rows(statement)
            if found:
                database.reader = reader
                await run_export(JobContext(database, DatabaseFiles(database), seconds=60), export["id"])
            return found

    database.reader = Slow()  # type: ignore[assignment]
    assert await clean_up(database, world.now) == NOTHING
    assert database.reader is reader
    assert (await world.user.get(f"/items/exports/{export['id']}")).json()["status"] == "done"


async def test_the_command_logs_the_counts_as_one_line(world: World) -> None:
    now = utc_now()
    await world.add(RefreshToken, *(world.token(now - MOMENT) for _ in range(3)))
    await world.add(IdempotencyKey, *(world.key(now - 2 * KEYS_KEPT) for _ in range(2)))
    await world.add(Export, world.export(now - 2 * EXPORTS_KEPT))
    for counts in ({"refresh_tokens": 3, "idempotency_keys": 2, "exports": 1}, NOTHING):
        done = await world.run(RELEASE="r1")
        assert done.returncode == 0, done.stdout + done.stderr
        line = json.loads(done.stdout)
        assert line["event"] == "clean-up done"
        assert line["level"] == "info"
        assert line["release"] == "r1"
        assert {table: line[table] for table in NOTHING} == counts


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


async def failure(url: str, **more: str) -> dict[str, Any]:
    """The one line of a command that failed."""
    done = await command(DATABASE_URL=url, **more)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    line: dict[str, Any] = json.loads(done.stdout)
    assert line["event"].startswith("clean-up failed")
    assert line["level"] == "error"
    return line


async def test_a_database_that_refuses_is_a_reason_and_exit_code_1() -> None:
    assert "Connect call failed" in (await failure(f"postgresql://nobody@127.0.0.1:{free_port()}/none"))["error"]


async def test_a_database_that_says_nothing_is_a_reason_and_exit_code_1(silent: int) -> None:
    line = await failure(f"postgresql://nobody@127.0.0.1:{silent}/none", DATABASE_CONNECT_TIMEOUT="0.5")
    assert line["error"] == "TimeoutError"


async def test_a_database_that_is_not_there_is_a_reason_and_exit_code_1(postgres_server: tuple[Server, str]) -> None:
    missing = postgres_server[1].rsplit("/", 1)[0] + "/missing"
    assert '"missing" does not exist' in (await failure(missing, DATABASE_CONNECT_TIMEOUT="30"))["error"]


async def test_a_database_without_tables_is_a_reason_and_exit_code_1(tmp_path: Path) -> None:
    assert "no such table" in (await failure(f"sqlite:///{tmp_path}/app.db"))["error"]
