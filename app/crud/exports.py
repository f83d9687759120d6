"""Statements on exports."""

import uuid

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.security import Caller
from app.models import Export, User


async def of_caller(session: AsyncSession, export_id: uuid.UUID, caller: Caller) -> Export | None:
    """An export that the caller asked for."""
    return await session.scalar(
        select(Export)
        .join(User, User.id == Export.owner_id)
        .where(
            Export.id == export_id,
            User.id == caller.user_id,
            User.token_version == caller.token_version,
            User.is_active.is_(True),
        )
    )
