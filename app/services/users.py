"""Accounts: register, read, change, delete; what admins do with others' accounts."""

import uuid

from sqlalchemy.exc import IntegrityError

from app.core.cache import public_group, user_group
from app.core.db.database import Database, UnitOfWork
from app.core.errors import Problem, not_authenticated
from app.core.security.tokens import TokenClaims
from app.crud import tokens as token_crud
from app.crud import users as user_crud
from app.crud.pages import read_page
from app.models import User
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


async def require_active_user(database: Database, claims: TokenClaims) -> ActiveUser:
    """The account that the token was issued to; 401 when it is gone or not active, or when its tokens were ended."""
    row = await user_crud.read_active(database.reader, claims.user_id, claims.token_version)
    if row is None:
        raise not_authenticated()
    return ActiveUser.model_validate(row)


async def lock_active_user(unit: UnitOfWork, user: ActiveUser, *, for_delete: bool = True) -> User:
    """The account that a request speaks for, in a transaction that changes it: locked, and checked once more, for it
    may have changed since."""
    account = await user_crud.lock(unit.session, user.id, token_version=user.token_version, for_delete=for_delete)
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
    return await read_page(database, Page[UserPublic], user_crud.ACTIVE_PUBLIC, User, query)


async def private_page(database: Database, query: PageQuery) -> Page[UserPrivate]:
    """All accounts, the oldest first; for admins."""
    return await read_page(database, Page[UserPrivate], user_crud.ALL_PRIVATE, User, query)


async def change_me(unit: UnitOfWork, *, user: ActiveUser, data: UserUpdate) -> UserPrivate:
    """Change address or name."""
    account = await lock_active_user(unit, user)
    for field, value in data.changes().items():
        setattr(account, field, value)
    await _flush(unit)
    _invalidate(unit, account)
    return UserPrivate.model_validate(account)


async def change_password(resources: Resources, unit: UnitOfWork, *, user: ActiveUser, data: PasswordChange) -> None:
    """Change the password, and end all logins, those with the old password too."""
    credentials = await user_crud.read_credentials(resources.database.reader, User.id == user.id)
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
    # Locked before the account itself: all that lock admins do it in the same order.
    admins = await user_crud.lock_admins(unit.session) if user.is_admin else []
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


async def _lock_for_admin(unit: UnitOfWork, admin: ActiveUser, user_id: uuid.UUID) -> User:
    """Another account, for an admin to change. Admins do not change their own here, and of two that change each other
    the second is none any more: so there is always one."""
    admins = await user_crud.lock_admins(unit.session)
    if (admin.id, admin.token_version) not in {(other.id, other.token_version) for other in admins}:
        raise not_authenticated()  # an admin no more since the request came in
    if user_id == admin.id:
        raise Problem(409, "Admins do not change their own account here.")
    account = await user_crud.lock(unit.session, user_id, for_delete=True)
    if account is None:
        raise Problem(404, "There is no such user.")
    return account


async def _delete(unit: UnitOfWork, account: User) -> None:
    await unit.session.delete(account)
    _invalidate(unit, account)


async def end_logins(unit: UnitOfWork, account: User) -> None:
    """End all logins of an account, and its access tokens at once."""
    account.token_version += 1
    await token_crud.revoke_user(unit.session, account.id)
    _invalidate(unit, account)


async def _flush(unit: UnitOfWork) -> None:
    try:
        await unit.session.flush()
    except IntegrityError:
        raise Problem(409, "There is an account with this address already.") from None


def _invalidate(unit: UnitOfWork, account: User) -> None:
    unit.invalidate(user_group(account.id), public_group("users"))
