"""Statements on Idempotency-Keys."""

import uuid
from typing import Any

from sqlalchemy import update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import IdempotencyKey


async def claim(session: AsyncSession, user_id: uuid.UUID, key: str, request_hash: str) -> bool:
    """Take a key for this request. False when it is taken; waits for a request that is carried out right now."""
    insert: Any = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    values = {"user_id": user_id, "key": key, "request_hash": request_hash}
    statement = insert(IdempotencyKey).values(values).on_conflict_do_nothing().returning(IdempotencyKey.key)
    return await session.scalar(statement) is not None


async def keep(session: AsyncSession, user_id: uuid.UUID, key: str, answer: str) -> None:
    """Keep the answer for the same request again."""
    mine = (IdempotencyKey.user_id == user_id) & (IdempotencyKey.key == key)
    await session.execute(update(IdempotencyKey).where(mine).values(answer=answer))
