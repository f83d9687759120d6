"""Statements on users."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.database import CompiledQuery, Reader, Row
from app.models import User

PUBLIC = (User.id, User.display_name, User.created_at)
PRIVATE = (*PUBLIC, User.email, User.is_active, User.is_admin, User.last_login_at)


def _is_active(user: Any, token_version: Any) -> ColumnElement[bool]:
    """The one place that decides whether a token still speaks for an account: the account is there and active, and its
    tokens were not ended since."""
    return and_(User.id == user, User.token_version == token_version, User.is_active.is_(True))


_READ_ACTIVE = CompiledQuery(
    select(*PRIVATE, User.token_version).where(_is_active(bindparam("user"), bindparam("token_version")))
)


async def credentials(reader: Reader, *, email: str | None = None, user_id: uuid.UUID | None = None) -> Row | None:
    """What it takes to check a password: `id`, `password_hash`, `token_version`. By address, or by identifier."""
    identified = User.email == email if user_id is None else User.id == user_id
    return await reader.row(select(User.id, User.password_hash, User.token_version).where(identified))


async def by_email(session: AsyncSession, email: str) -> User | None:
    """The account with this address."""
    return await session.scalar(select(User).where(User.email == email))


async def lock(
    session: AsyncSession, user_id: uuid.UUID, *, token_version: int | None = None, for_delete: bool = False
) -> User | None:
    """An account, locked until the transaction ends; with a token's version only if that still speaks for it.

    Waits for whoever has it locked, and sees what they did. Rows that refer to it can be made meanwhile, unless it is
    going to be deleted or given another address (FOR NO KEY UPDATE against FOR UPDATE).
    """
    wanted = User.id == user_id if token_version is None else _is_active(user_id, token_version)
    statement = select(User).where(wanted).with_for_update(key_share=not for_delete)
    return await session.scalar(statement.execution_options(populate_existing=True))


async def lock_admins(session: AsyncSession) -> Sequence[User]:
    """All active admins, locked in one order, so that of several who want to end one another's rights one is first."""
    statement = select(User).where(User.is_admin.is_(True), User.is_active.is_(True)).order_by(User.id)
    return (await session.scalars(statement.with_for_update().execution_options(populate_existing=True))).all()


async def read_active(reader: Reader, user_id: uuid.UUID, token_version: int) -> Row | None:
    """All of an account that its owner may see, if a token of this version speaks for it."""
    return await reader.row(_READ_ACTIVE, {"user": user_id, "token_version": token_version})


async def page(reader: Reader, *, private: bool, limit: int, after: tuple[datetime, uuid.UUID] | None) -> Sequence[Row]:
    """Accounts from the oldest on; the public list has active ones only."""
    statement = select(*(PRIVATE if private else PUBLIC)).order_by(User.created_at, User.id).limit(limit)
    if not private:
        statement = statement.where(User.is_active.is_(True))
    if after is not None:
        statement = statement.where(tuple_(User.created_at, User.id) > after)
    return await reader.rows(statement)


async def count(reader: Reader, *, private: bool) -> int:
    """How many accounts there are on all pages."""
    statement = select(func.count(User.id).label("total"))
    row = await reader.row(statement if private else statement.where(User.is_active.is_(True)))
    return int(row["total"]) if row else 0
