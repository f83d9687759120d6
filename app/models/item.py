"""The table of items."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Identified, utc_now


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
