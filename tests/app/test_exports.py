"""Exports: asked for, made by a job, fetched by their owner."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any, BinaryIO

import pytest
from sqlalchemy import select, update

from app.core.security.tokens import TokenClaims
from app.jobs import exports as export_jobs
from app.jobs.exports import export
from app.jobs.files import DatabaseFiles, File, FilesUnavailableError
from app.jobs.job import Job, JobContext
from app.jobs.sender import InProcessSender, send_overdue
from app.models import Export, ExportStatus, Item, utc_now
from tests.app.conftest import Running, User, register


async def done(user: User, path: str) -> dict[str, object]:
    for _ in range(100):
        found: dict[str, object] = (await user.get(path)).json()
        if found["status"] in ("done", "failed"):
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("the export does not end")


async def start(user: User) -> str:
    answer = await user.request("POST", "/items/exports")
    assert answer.status_code == 202
    return str(answer.headers["location"]).split("/api/v1", 1)[1]


async def test_an_export_holds_all_items_and_harmless_cells(user: User) -> None:
    await user.item("Lighthouse")
    await user.item("=cmd|' /C calc'!A0")
    path = await start(user)
    assert (await done(user, path))["rows"] == 2
    file = await user.get(f"{path}/file")
    assert file.headers["content-type"].startswith("text/csv")
    assert "Lighthouse" in file.text
    assert "'=cmd" in file.text


async def test_ones_exports_are_listed_the_newest_first(user: User, other: User) -> None:
    paths = [await start(user) for _ in range(3)]
    await start(other)
    seen, path = [], "/items/exports?limit=2"
    while path:
        answer = await user.get(path)
        seen += [f"/items/exports/{found['id']}" for found in answer.json()]
        path = answer.links.get("next", {}).get("url", "").removeprefix("/api/v1")
    assert seen == paths[::-1]


async def test_only_the_owner_sees_an_export(user: User, other: User) -> None:
    path = await start(user)
    await done(user, path)
    assert (await other.get(path)).status_code == 404
    assert (await other.get(f"{path}/file")).status_code == 404


async def test_more_items_than_one_page_are_exported_once_each(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_jobs, "PAGE", 3)
    monkeypatch.setattr(export_jobs, "IN_MEMORY", 100)
    titles = [f"Tëst {number}" for number in range(7)]
    for title in titles:
        await user.item(title)
    path = await start(user)
    assert (await done(user, path))["rows"] == 7
    file = await user.get(f"{path}/file")
    assert int(file.headers["content-length"]) == len(file.content)
    assert [line.split(",")[1] for line in file.text.splitlines()] == ["title", *titles]


async def test_a_user_may_ask_for_so_many_an_hour_at_once_or_one_by_one(running: Running) -> None:
    user = await register(await running.client(exports_per_hour=3))
    answers = await asyncio.gather(*(user.request("POST", "/items/exports") for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [429] * 9
    refused = await user.request("POST", "/items/exports")
    assert refused.status_code == 429
    assert 3590 <= int(refused.headers["retry-after"]) <= 3600


async def test_after_the_time_that_a_refusal_names_the_next_export_is_taken(running: Running) -> None:
    app = await running.app(exports_per_hour=2)
    user = await register(await running.client(app))
    for _ in range(2):
        await done(user, await start(user))
    wait = int((await user.request("POST", "/items/exports")).headers["retry-after"])
    async with app.state.resources.database.unit() as unit:  # the time goes by
        past = {"created_at": utc_now() - timedelta(hours=1) + timedelta(seconds=2)}
        await unit.session.execute(update(Export).where(Export.owner_id == uuid.UUID(user.id)).values(**past))
    refused = await user.request("POST", "/items/exports")
    assert (refused.status_code, int(refused.headers["retry-after"]) <= 2 < wait) == (429, True)
    await asyncio.sleep(int(refused.headers["retry-after"]))
    await start(user)


class Broken(DatabaseFiles):
    """A place that takes no file."""

    async def put(self, export_id: uuid.UUID, content: BinaryIO) -> None:
        raise OSError("no space")

    async def open(self, export_id: uuid.UUID) -> File | None:
        raise FilesUnavailableError("away")


class World:
    """An app, and an account that has asked for an export which nobody has taken yet."""

    def __init__(self, app: Any, user: User, id: uuid.UUID) -> None:
        self.app, self.user, self.id = app, user, id
        self.run: JobContext = app.state.resources.job_context

    async def status(self) -> str:
        return str((await self.user.get(f"/items/exports/{self.id}")).json()["status"])

    async def set(self, **values: Any) -> None:
        async with self.run.database.unit() as unit:
            await unit.session.execute(update(Export).where(Export.id == self.id).values(**values))

    async def read(self, column: Any) -> Any:
        async with self.run.database.unit() as unit:
            return await unit.session.scalar(select(column).where(Export.id == self.id))


@pytest.fixture
async def world(running: Running) -> World:
    app = await running.app()
    user = await register(await running.client(app))
    async with app.state.resources.database.unit() as unit:
        made = Export(owner_id=uuid.UUID(user.id), sent_at=utc_now())
        unit.session.add(made)
    return World(app, user, made.id)


async def test_a_failing_job_can_be_tried_again_and_is_failed_after_the_last_try(world: World) -> None:
    for last, status in ((False, "pending"), (True, "failed")):
        with pytest.raises(OSError, match="no space"):
            await export(replace(world.run, files=Broken(world.run.database), last=last), world.id)
        assert await world.status() == status
        assert (await world.user.get(f"/items/exports/{world.id}/file")).status_code == 409
    await export(world.run, world.id)
    assert await world.status() == "done"


async def test_a_job_that_takes_too_long_is_ended_and_failed(world: World) -> None:
    class Slow(DatabaseFiles):
        async def put(self, export_id: uuid.UUID, content: BinaryIO) -> None:
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await export(replace(world.run, files=Slow(world.run.database), seconds=0.2), world.id)
    assert await world.status() == "failed"


async def test_messages_for_the_same_export_at_once_make_it_once(world: World) -> None:
    await asyncio.gather(*(export(world.run, world.id) for _ in range(5)))
    assert await world.read(Export.attempts) == 1


async def test_a_message_that_comes_again_goes_on_after_a_run_that_was_killed(world: World) -> None:
    """The killed run's row is as it left it: running, since a moment ago."""
    await world.set(status=ExportStatus.RUNNING, started_at=utc_now())
    await export(world.run, world.id)
    assert await world.status() == "running", "another message's run, as far as anybody knows"
    await export(replace(world.run, number=2), world.id)
    assert await world.status() == "done"


async def test_a_run_that_fails_late_does_not_undo_one_that_is_done(world: World) -> None:
    class Late(DatabaseFiles):
        async def put(self, export_id: uuid.UUID, content: BinaryIO) -> None:
            await export(replace(world.run, number=2), world.id)
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        await export(replace(world.run, files=Late(world.run.database)), world.id)
    assert await world.status() == "done"


class Recorder:
    """Sends nothing."""

    def __init__(self) -> None:
        self.sent: list[uuid.UUID] = []

    async def send(self, job: Job[Any], *args: Any, **kwargs: Any) -> None:
        self.sent += args


async def test_an_export_that_was_never_sent_or_got_lost_is_sent_again_once(world: World) -> None:
    sender = Recorder()
    await send_overdue(sender, world.run)  # type: ignore[arg-type]
    assert world.id not in sender.sent
    for long_ago in (
        {"sent_at": utc_now() - timedelta(minutes=6)},
        {"sent_at": None, "created_at": utc_now() - timedelta(1)},
    ):
        await world.set(**long_ago)
        sender = Recorder()
        await asyncio.gather(*(send_overdue(sender, world.run) for _ in range(3)))  # type: ignore[arg-type]
        assert sender.sent.count(world.id) == 1


async def test_an_export_whose_run_has_vanished_does_not_run_for_ever(world: World) -> None:
    sender = Recorder()
    await world.set(status=ExportStatus.RUNNING, started_at=utc_now() - world.run.lost_after / 2)
    await send_overdue(sender, world.run)  # type: ignore[arg-type]
    assert await world.status() == "running"
    await world.set(started_at=utc_now() - world.run.lost_after)
    await send_overdue(sender, world.run)  # type: ignore[arg-type]
    assert await world.status() == "failed"
    assert sender.sent == []


async def test_what_the_end_of_a_process_stops_is_left_to_the_next_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.jobs import sender as senders

    begun = asyncio.Event()

    class Slow(DatabaseFiles):
        async def put(self, export_id: uuid.UUID, content: BinaryIO) -> None:
            begun.set()
            await asyncio.sleep(60)

    monkeypatch.setattr(senders, "CLOSE_SECONDS", 0.1)
    sender = InProcessSender(replace(world.run, files=Slow(world.run.database)))
    await sender.send(export, world.id)
    await begun.wait()
    await sender.close()
    assert await world.status() == "pending"


async def test_the_app_looks_for_overdue_jobs_by_itself(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.jobs import sender as senders

    monkeypatch.setattr(senders, "LOOK_SECONDS", 0.1)
    app = await running.app()
    user = await register(await running.client(app))
    async with app.state.resources.database.unit() as unit:
        made = Export(owner_id=uuid.UUID(user.id), sent_at=utc_now() - timedelta(minutes=6))
        unit.session.add(made)
    assert (await done(user, f"/items/exports/{made.id}"))["status"] == "done"


async def test_jobs_are_sent_after_the_commit_only(world: World) -> None:
    class Checking(Recorder):
        async def send(self, job: Job[Any], *args: Any, **kwargs: Any) -> None:
            rows = await world.run.database.reader.rows(select(Export.id).where(Export.id.in_(args)))
            assert rows, "a worker would not find it yet"
            await super().send(job, *args)

    from app.services import exports
    from app.services.users import require_active_user

    sender = Checking()
    async with world.run.database.unit() as unit:
        user = await require_active_user(world.run.database, TokenClaims(uuid.UUID(world.user.id), 1, is_admin=False))
        resources = replace(world.app.state.resources, jobs=sender)
        await exports.start(resources, unit, user=user)
        assert sender.sent == []
    assert len(sender.sent) == 1


async def test_a_place_of_files_that_is_away_is_a_503_and_not_an_error(world: World, running: Running) -> None:
    await export(world.run, world.id)
    resources = world.app.state.resources
    world.app.state.resources = replace(resources, files=Broken(world.run.database))
    answer = await world.user.get(f"/items/exports/{world.id}/file")
    world.app.state.resources = resources
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


async def test_no_connection_is_held_while_a_file_is_asked_for_and_sent(world: World) -> None:
    await export(world.run, world.id)
    held: list[int] = []
    pool: Any = world.run.database.engine.pool

    class Watching(DatabaseFiles):
        async def open(self, export_id: uuid.UUID) -> File | None:
            held.append(pool.checkedout())

            async def chunks() -> Any:
                held.append(pool.checkedout())
                yield b"id"

            return File(2, chunks())

    resources = world.app.state.resources
    world.app.state.resources = replace(resources, files=Watching(world.run.database))
    answer = await world.user.get(f"/items/exports/{world.id}/file")
    world.app.state.resources = resources
    assert answer.text == "id"
    assert held == [0, 0]


async def test_a_job_holds_no_connection_while_its_file_is_sent(world: World) -> None:
    held: list[int] = []
    pool: Any = world.run.database.engine.pool

    class Watching(DatabaseFiles):
        async def put(self, export_id: uuid.UUID, content: BinaryIO) -> None:
            held.append(pool.checkedout())

    async with world.run.database.unit() as unit:
        unit.session.add(Item(owner_id=uuid.UUID(world.user.id), title="Lighthouse"))
    await export(replace(world.run, files=Watching(world.run.database)), world.id)
    assert held == [0]


@pytest.mark.parametrize(
    "first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"]
)  # full-width ones too
def test_no_cell_of_a_file_is_a_formula(first: str) -> None:
    assert export_jobs._harmless({"title": f"{first}1", "rows": 2}) == {"title": f"'{first}1", "rows": 2}
    assert export_jobs._harmless({"title": f"1{first}"}) == {"title": f"1{first}"}
