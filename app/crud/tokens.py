"""Statements on refresh tokens."""

import uuid

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import RefreshToken, utc_now


async def owner(session: AsyncSession, token_hash: str) -> uuid.UUID | None:
    """Whose the token with this fingerprint is."""
    return await session.scalar(select(RefreshToken.user_id).where(RefreshToken.token_hash == token_hash))


async def by_hash(session: AsyncSession, token_hash: str) -> RefreshToken | None:
    """The token with this fingerprint."""
    return await session.scalar(select(RefreshToken).where(RefreshToken.token_hash == token_hash))


async def revoke_family(session: AsyncSession, family_id: uuid.UUID) -> None:
    """End everything that descends from one login."""
    await session.execute(delete(RefreshToken).where(RefreshToken.family_id == family_id))


async def revoke_user(session: AsyncSession, user_id: uuid.UUID) -> None:
    """End all logins of an account."""
    await session.execute(delete(RefreshToken).where(RefreshToken.user_id == user_id))


async def delete_expired(session: AsyncSession, user_id: uuid.UUID) -> None:
    """Delete a user's expired tokens."""
    expired = delete(RefreshToken).where(RefreshToken.user_id == user_id, RefreshToken.expires_at < utc_now())
    await session.execute(expired)
