"""The tables of exports."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Identified


class ExportStatus(StrEnum):
    """Where an export is."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Export(Identified, Base):
    """A file of all of a user's items that a job writes. The row is also the job's outbox: a pending one that no
    worker took is sent again."""

    __tablename__ = "exports"

    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(String(16), default=ExportStatus.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    rows: Mapped[int | None]
    sent_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "owner_id", "created_at"),)


class ExportFile(Base):
    """A finished export where there is no bucket to put it."""

    __tablename__ = "export_files"

    export_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("exports.id", ondelete="CASCADE"), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
