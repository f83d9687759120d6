"""The tables, which migrations are compared with."""

import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import DateTime, Dialect, ForeignKey, Index, LargeBinary, MetaData, String, Text, TypeDecorator, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# Every constraint has a name that a migration can drop it by, the same on every database.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


class SqliteDateTime(TypeDecorator[datetime]):
    """A time in UTC. SQLite forgets the zone, so it is put back on reading."""

    impl = DateTime()
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Base(DeclarativeBase):
    """The base of all tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True).with_variant(SqliteDateTime(), "sqlite"),
        uuid.UUID: Uuid(),
    }


class Identified:
    """A random identifier, which cannot be counted through, and the time of creation."""

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class User(Identified, Base):
    """An account. `token_version` rises to end all of its access tokens at once."""

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(String(254), unique=True)
    display_name: Mapped[str] = mapped_column(String(100))
    password_hash: Mapped[str] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(default=True)
    is_admin: Mapped[bool] = mapped_column(default=False)
    token_version: Mapped[int] = mapped_column(default=1)
    last_login_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "created_at", "id"),)  # the list's order


class RefreshToken(Identified, Base):
    """One use of a login. Used tokens stay until they expire: one that comes back was stolen, and its whole family,
    all tokens descended from the same login, is revoked."""

    __tablename__ = "refresh_tokens"

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    family_id: Mapped[uuid.UUID] = mapped_column(index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ItemStatus(StrEnum):
    """Where an item is in its life."""

    DRAFT = "draft"
    ACTIVE = "active"
    ARCHIVED = "archived"


class Item(Identified, Base):
    """Something that a user owns. `version` rises with every change and is the item's ETag."""

    __tablename__ = "items"

    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")
    # Text, not a database enum: adding a value needs no migration that locks the table.
    status: Mapped[str] = mapped_column(String(16), default=ItemStatus.DRAFT)
    version: Mapped[int] = mapped_column(default=1)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)

    # One index for each sort an owner can ask for, with the filter, and one for each of an admin's.
    __table_args__ = (
        Index(None, "owner_id", "created_at", "id"),
        Index(None, "owner_id", "title", "id"),
        Index(None, "owner_id", "status", "created_at", "id"),
        Index(None, "created_at", "id"),
        Index(None, "title", "id"),
        # Searching for a part of a title; only Postgres has it, and SQLite reads the owner's rows.
        Index(
            "ix_items_title_trigrams", "title", postgresql_using="gin", postgresql_ops={"title": "gin_trgm_ops"}
        ).ddl_if(dialect="postgresql"),
    )


class IdempotencyKey(Base):
    """A request that was carried out, and its answer: the same request again gets the same answer."""

    __tablename__ = "idempotency_keys"

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    answer: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


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
