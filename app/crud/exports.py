"""Statements on exports."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.database import Reader, Row
from app.models import Export, ExportStatus, Item, utc_now


def of_owner(owner: uuid.UUID) -> Select[*tuple[Any, ...]]:
    """All that the owner asked for."""
    return select(Export.__table__).where(Export.owner_id == owner)


async def read(reader: Reader, export_id: uuid.UUID, *, owner: uuid.UUID) -> Row | None:
    """An export that the owner asked for."""
    return await reader.row(of_owner(owner).where(Export.id == export_id))


async def newest(session: AsyncSession, owner: uuid.UUID, *, since: datetime, limit: int) -> Sequence[datetime]:
    """When the owner asked for their last ones, the newest first."""
    recent = select(Export.created_at).where(Export.owner_id == owner, Export.created_at > since)
    return (await session.scalars(recent.order_by(Export.created_at.desc()).limit(limit))).all()


async def claim(session: AsyncSession, export_id: uuid.UUID, *, again: bool, lost_before: datetime) -> uuid.UUID | None:
    """Take an export that no run has; returns its owner. `again`: the message's own run before has ended, so a running
    one is its. Otherwise a running one is another message's, which comes again if that run dies."""
    free = Export.status.in_([ExportStatus.PENDING, ExportStatus.FAILED])
    mine = (Export.status == ExportStatus.RUNNING) & (True if again else Export.started_at < lost_before)
    statement = (
        update(Export)
        .where(Export.id == export_id, or_(free, mine))
        .values(status=ExportStatus.RUNNING, started_at=utc_now(), attempts=Export.attempts + 1)
        .returning(Export.owner_id)
    )
    return await session.scalar(statement)


async def end(session: AsyncSession, export_id: uuid.UUID, status: ExportStatus, rows: int | None) -> None:
    """Write down how a run ended; not over another one that was done in the meantime."""
    values = {"status": status, "rows": rows, "finished_at": utc_now()}
    if status == ExportStatus.PENDING:
        values["sent_at"] = utc_now()  # its message comes again by itself
    unfinished = (Export.id == export_id) & (Export.status != ExportStatus.DONE)
    await session.execute(update(Export).where(unfinished).values(**values))


async def give_up(session: AsyncSession, *, started_before: datetime) -> None:
    """No run will report how these ended: their processes were killed again and again, or there is no queue."""
    lost = (Export.status == ExportStatus.RUNNING) & (Export.started_at < started_before)
    await session.execute(update(Export).where(lost).values(status=ExportStatus.FAILED, finished_at=utc_now()))


async def send_again(session: AsyncSession, *, sent_before: datetime) -> Sequence[uuid.UUID]:
    """Those that wait although they were sent so long ago. Counted as sent now: of two callers one gets each."""
    waits = (Export.status == ExportStatus.PENDING) & (func.coalesce(Export.sent_at, Export.created_at) < sent_before)
    return (await session.scalars(update(Export).where(waits).values(sent_at=utc_now()).returning(Export.id))).all()


async def items(reader: Reader, owner: uuid.UUID, *, after: Row | None, limit: int) -> Sequence[Row]:
    """The owner's items after this one, from the oldest on."""
    statement = select(Item.__table__).where(Item.owner_id == owner).order_by(Item.created_at, Item.id).limit(limit)
    if after is not None:
        statement = statement.where(tuple_(Item.created_at, Item.id) > (after["created_at"], after["id"]))
    return await reader.rows(statement)
