"""Accounts: register, read, change, delete; what admins do with others' accounts."""

import uuid
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, select
from sqlalchemy.exc import IntegrityError

from app.core.cache import public_group, user_group
from app.core.db.database import CompiledQuery, Database, Row, UnitOfWork
from app.core.errors import Problem, not_authenticated
from app.core.security.tokens import TokenClaims
from app.models import RefreshToken, User
from app.resources import Resources
from app.schemas.base import Page, PageQuery
from app.schemas.user import (
    ActiveUser,
    PasswordChange,
    UserAdminUpdate,
    UserCreate,
    UserPrivate,
    UserPublic,
    UserUpdate,
)
from app.services.pages import read_page

PUBLIC = (User.id, User.display_name, User.created_at)
PRIVATE = (*PUBLIC, User.email, User.is_active, User.is_admin, User.last_login_at)


def _is_active(user: Any, token_version: Any) -> ColumnElement[bool]:
    """The one place that decides whether a token still speaks for an account: the account is there and active, and its
    tokens were not ended since."""
    return and_(User.id == user, User.token_version == token_version, User.is_active.is_(True))


_READ_ACTIVE = CompiledQuery(
    select(*PRIVATE, User.token_version).where(_is_active(bindparam("user"), bindparam("token_version")))
)


async def require_active_user(database: Database, claims: TokenClaims) -> ActiveUser:
    """The account that the token was issued to; 401 when it is gone or not active, or when its tokens were ended."""
    row = await database.reader.row(_READ_ACTIVE, {"user": claims.user_id, "token_version": claims.token_version})
    if row is None:
        raise not_authenticated()
    return ActiveUser.model_validate(row)


async def read_credentials(database: Database, account: ColumnElement[bool]) -> Row | None:
    """What it takes to check a password: `id`, `password_hash`, `token_version`."""
    return await database.reader.row(select(User.id, User.password_hash, User.token_version).where(account))


async def lock_user(
    unit: UnitOfWork, user_id: uuid.UUID, *, token_version: int | None = None, for_delete: bool = False
) -> User | None:
    """An account, locked until the transaction ends; with a token's version only if that still speaks for it.

    Waits for whoever has it locked, and sees what they did. Rows that refer to it can be made meanwhile, unless it is
    going to be deleted or given another address (FOR NO KEY UPDATE against FOR UPDATE).
    """
    account = User.id == user_id if token_version is None else _is_active(user_id, token_version)
    statement = select(User).where(account).with_for_update(key_share=not for_delete)
    return await unit.session.scalar(statement.execution_options(populate_existing=True))


async def lock_active_user(unit: UnitOfWork, user: ActiveUser, *, for_delete: bool = True) -> User:
    """The account that a request speaks for, in a transaction that changes it: locked, and checked once more, for it
    may have changed since."""
    account = await lock_user(unit, user.id, token_version=user.token_version, for_delete=for_delete)
    if account is None:
        raise not_authenticated()
    return account


async def register(resources: Resources, unit: UnitOfWork, *, data: UserCreate) -> UserPrivate:
    """A new account."""
    hashed = await resources.passwords.hash(data.password.get_secret_value())
    user = User(email=data.email, display_name=data.display_name, password_hash=hashed)
    unit.session.add(user)
    await _flush(unit)
    unit.invalidate(public_group("users"))
    return UserPrivate.model_validate(user)


async def public_page(database: Database, query: PageQuery) -> Page[UserPublic]:
    """Public profiles of active accounts, the oldest first."""
    return await read_page(database, Page[UserPublic], select(*PUBLIC).where(User.is_active.is_(True)), User, query)


async def private_page(database: Database, query: PageQuery) -> Page[UserPrivate]:
    """All accounts, the oldest first; for admins."""
    return await read_page(database, Page[UserPrivate], select(*PRIVATE), User, query)


async def change_me(unit: UnitOfWork, *, user: ActiveUser, data: UserUpdate) -> UserPrivate:
    """Change address or name."""
    account = await lock_active_user(unit, user)
    for field, value in data.changes().items():
        setattr(account, field, value)
    await _flush(unit)
    _invalidate(unit, account)
    return UserPrivate.model_validate(account)


async def change_password(resources: Resources, unit: UnitOfWork, *, user: ActiveUser, data: PasswordChange) -> None:
    """Change the password, and end all logins: whoever knew the old one is out."""
    credentials = await read_credentials(resources.database, User.id == user.id)
    if credentials is None or credentials["token_version"] != user.token_version:
        raise not_authenticated()  # it was changed since the request came in
    fits, _ = await resources.passwords.verify(data.current_password.get_secret_value(), credentials["password_hash"])
    if not fits:
        raise Problem(403, "The current password is wrong.")
    new_hash = await resources.passwords.hash(data.new_password.get_secret_value())
    account = await lock_active_user(unit, user)
    account.password_hash = new_hash
    await end_logins(unit, account)


async def delete_me(unit: UnitOfWork, *, user: ActiveUser) -> None:
    """Delete the account and everything that belongs to it. The last admin stays."""
    # Locked before the account itself, for whoever locks admins locks them in the same order.
    admins = await _lock_admins(unit) if user.is_admin else []
    if [admin.id for admin in admins] == [user.id]:
        raise Problem(409, "The last admin stays: make another one first.")
    await _delete(unit, await lock_active_user(unit, user))


async def administrate(
    unit: UnitOfWork, *, admin: ActiveUser, user_id: uuid.UUID, data: UserAdminUpdate
) -> UserPrivate:
    """What an admin changes about an account; its logins end."""
    account = await _lock_for_admin(unit, admin, user_id)
    changes = data.changes()
    for field, value in changes.items():
        setattr(account, field, value)
    if changes:
        await end_logins(unit, account)
    await unit.session.flush()
    return UserPrivate.model_validate(account)


async def delete_user(unit: UnitOfWork, *, admin: ActiveUser, user_id: uuid.UUID) -> None:
    """Delete an account and everything that belongs to it, for an admin."""
    await _delete(unit, await _lock_for_admin(unit, admin, user_id))


async def _lock_admins(unit: UnitOfWork) -> list[User]:
    """All active admins, locked in one order, so that of several who want to end one another's rights one is first."""
    statement = select(User).where(User.is_admin.is_(True), User.is_active.is_(True)).order_by(User.id)
    rows = await unit.session.scalars(statement.with_for_update().execution_options(populate_existing=True))
    return [*rows]


async def _lock_for_admin(unit: UnitOfWork, admin: ActiveUser, user_id: uuid.UUID) -> User:
    """Another account, for an admin to change. Admins do not change their own here, and of two that change each other
    the second is none any more: so there is always one."""
    admins = await _lock_admins(unit)
    if (admin.id, admin.token_version) not in {(other.id, other.token_version) for other in admins}:
        raise not_authenticated()  # an admin no more since the request came in
    if user_id == admin.id:
        raise Problem(409, "Admins do not change their own account here.")
    account = await lock_user(unit, user_id, for_delete=True)
    if account is None:
        raise Problem(404, "There is no such user.")
    return account


async def _delete(unit: UnitOfWork, account: User) -> None:
    await unit.session.delete(account)
    _invalidate(unit, account)


async def end_logins(unit: UnitOfWork, account: User) -> None:
    """End all logins of an account, and its access tokens at once."""
    account.token_version += 1
    await unit.session.execute(delete(RefreshToken).where(RefreshToken.user_id == account.id))
    _invalidate(unit, account)


async def _flush(unit: UnitOfWork) -> None:
    try:
        await unit.session.flush()
    except IntegrityError:
        raise Problem(409, "There is an account with this address already.") from None


def _invalidate(unit: UnitOfWork, account: User) -> None:
    unit.invalidate(user_group(account.id), public_group("users"))
