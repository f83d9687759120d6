"""The table of Idempotency-Keys."""

import uuid
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, utc_now

REMEMBERED = timedelta(hours=24)
"""For so long at least the same request again gets the same answer; then the clean-up may delete the key. Stripe's API
remembers as long."""


class IdempotencyKey(Base):
    """A request that was carried out, and its answer: the same request again gets the same answer."""

    __tablename__ = "idempotency_keys"

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    answer: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
