"""Exports: asked for, made by a job, fetched by their owner."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from app.core.security import Caller
from app.jobs.exports import run_export
from app.jobs.files import DatabaseFiles
from app.models import Export
from app.models.base import utc_now
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


async def test_only_the_owner_sees_an_export(user: User, other: User) -> None:
    path = await start(user)
    await done(user, path)
    assert (await other.get(path)).status_code == 404
    assert (await other.get(f"{path}/file")).status_code == 404


class Broken(DatabaseFiles):
    """A place that takes no file."""

    async def put(self, export_id: uuid.UUID, content: bytes) -> None:
        raise OSError("no space")


async def _pending(running: Running) -> tuple[object, User, uuid.UUID]:
    app = await running.app()
    user = await register(await running.client(app))
    async with app.state.resources.database.unit() as unit:
        export = Export(owner_id=uuid.UUID(user.id))
        unit.session.add(export)
    return app, user, export.id


async def test_a_failing_job_can_be_tried_again_and_is_failed_after_the_last_try(running: Running) -> None:
    app, user, id = await _pending(running)
    database = app.state.resources.database  # type: ignore[attr-defined]
    for final, status in ((False, "pending"), (True, "failed")):
        with pytest.raises(OSError, match="no space"):
            await run_export(database, Broken(database), id, final=final)
        assert (await user.get(f"/items/exports/{id}")).json()["status"] == status
        assert (await user.get(f"/items/exports/{id}/file")).status_code == 409
    await run_export(database, DatabaseFiles(database), id)
    assert (await user.get(f"/items/exports/{id}")).json()["status"] == "done"


async def test_a_job_that_is_delivered_twice_at_once_runs_once(running: Running) -> None:
    app, _, id = await _pending(running)
    database = app.state.resources.database  # type: ignore[attr-defined]
    await asyncio.gather(*(run_export(database, DatabaseFiles(database), id) for _ in range(5)))
    async with database.unit() as unit:
        assert await unit.session.scalar(select(Export.attempts).where(Export.id == id)) == 1


async def test_a_job_that_the_queue_lost_is_sent_again(running: Running) -> None:
    app, user, id = await _pending(running)
    async with app.state.resources.database.unit() as unit:  # type: ignore[attr-defined]
        old = utc_now() - timedelta(minutes=5)
        await unit.session.execute(update(Export).where(Export.id == id).values(sent_at=old))
    assert (await done(user, f"/items/exports/{id}"))["status"] == "done"


async def test_jobs_are_sent_after_the_commit_only(running: Running) -> None:
    app, user, _ = await _pending(running)
    sent: list[uuid.UUID] = []

    class Recorder:
        async def export(self, export_id: uuid.UUID) -> None:
            rows = await app.state.resources.database.reader.rows(select(Export.id).where(Export.id == export_id))  # type: ignore[attr-defined]
            assert rows, "a worker would not find it yet"
            sent.append(export_id)

    from app.services import exports

    async with app.state.resources.database.unit() as unit:  # type: ignore[attr-defined]
        caller = Caller(uuid.UUID(user.id), 1, is_admin=False)
        await exports.start(unit, caller=caller, jobs=Recorder())  # type: ignore[arg-type]
        assert sent == []
    assert len(sent) == 1
