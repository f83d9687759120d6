"""Statements on users."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import RowMapping, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import Reader
from app.core.security import Caller
from app.models import User

PUBLIC = (User.id, User.display_name, User.created_at)
PRIVATE = (*PUBLIC, User.email, User.is_active, User.is_admin, User.last_login_at)


async def by_email(session: AsyncSession, email: str) -> User | None:
    """The account with this address."""
    return await session.scalar(select(User).where(User.email == email))


async def get(session: AsyncSession, user_id: uuid.UUID, *, lock: bool = False) -> User | None:
    """An account; locked until the transaction ends when it is going to be changed."""
    return await session.get(User, user_id, with_for_update=lock)


async def standing(session: AsyncSession, caller: Caller) -> User | None:
    """The caller's account, if the token still speaks for it."""
    return await session.scalar(
        select(User).where(
            User.id == caller.user_id, User.token_version == caller.token_version, User.is_active.is_(True)
        )
    )


async def read(reader: Reader, user_id: uuid.UUID) -> RowMapping | None:
    """All of an account that its owner may see, and its token version."""
    return await reader.row(select(*PRIVATE, User.token_version).where(User.id == user_id))


async def page(
    reader: Reader, *, private: bool, limit: int, after: tuple[datetime, uuid.UUID] | None
) -> Sequence[RowMapping]:
    """Accounts from the oldest on; the public list has active ones only."""
    statement = select(*(PRIVATE if private else PUBLIC)).order_by(User.created_at, User.id).limit(limit)
    if not private:
        statement = statement.where(User.is_active.is_(True))
    if after is not None:
        statement = statement.where(tuple_(User.created_at, User.id) > after)
    return await reader.rows(statement)


async def set_password_hash(session: AsyncSession, user_id: uuid.UUID, password_hash: str) -> None:
    """Keep a better hash of the same password."""
    await session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))
