"""Statements on users."""

import uuid
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.database import CompiledQuery, Reader, Row
from app.models import User

PUBLIC = (User.id, User.display_name, User.created_at)
PRIVATE = (*PUBLIC, User.email, User.is_active, User.is_admin, User.last_login_at)
ALL_PRIVATE = select(*PRIVATE)
ACTIVE_PUBLIC = select(*PUBLIC).where(User.is_active.is_(True))


def _is_active(user: Any, token_version: Any) -> ColumnElement[bool]:
    """The one place that decides whether a token still speaks for an account: the account is there and active, and its
    tokens were not ended since."""
    return and_(User.id == user, User.token_version == token_version, User.is_active.is_(True))


_READ_ACTIVE = CompiledQuery(
    select(*PRIVATE, User.token_version).where(_is_active(bindparam("user"), bindparam("token_version")))
)


async def read_active(reader: Reader, user_id: uuid.UUID, token_version: int) -> Row | None:
    """All of an account that its owner may see, if a token of this version speaks for it."""
    return await reader.row(_READ_ACTIVE, {"user": user_id, "token_version": token_version})


async def read_credentials(reader: Reader, account: ColumnElement[bool]) -> Row | None:
    """What it takes to check a password: `id`, `password_hash`, `token_version`."""
    return await reader.row(select(User.id, User.password_hash, User.token_version).where(account))


async def by_email(session: AsyncSession, email: str) -> User | None:
    """The account with this address."""
    return await session.scalar(select(User).where(User.email == email))


async def lock(
    session: AsyncSession, user_id: uuid.UUID, *, token_version: int | None = None, for_delete: bool = False
) -> User | None:
    """An account, locked until the transaction ends; with a token's version only if that still speaks for it.

    Waits for the transaction that has it locked, and sees its changes. Rows that refer to it can be made meanwhile,
    unless `for_delete`: it may be deleted or given another address (FOR UPDATE instead of FOR NO KEY UPDATE).
    """
    account = User.id == user_id if token_version is None else _is_active(user_id, token_version)
    statement = select(User).where(account).with_for_update(key_share=not for_delete)
    return await session.scalar(statement.execution_options(populate_existing=True))


async def lock_admins(session: AsyncSession) -> list[User]:
    """All active admins, locked in one order, so that of several who want to end one another's rights one is first."""
    statement = select(User).where(User.is_admin.is_(True), User.is_active.is_(True)).order_by(User.id)
    rows = await session.scalars(statement.with_for_update().execution_options(populate_existing=True))
    return [*rows]
