"""Accounts: register, read, change, delete; what admins do with others' accounts."""

import uuid

from sqlalchemy.exc import IntegrityError

from app.core.db.database import Database, UnitOfWork
from app.core.errors import Problem, not_authenticated
from app.core.security.passwords import Passwords
from app.crud import tokens as token_crud
from app.crud import users as user_crud
from app.models import User
from app.schemas.base import Page, decode_cursor
from app.schemas.user import ActiveUser, UserAdminUpdate, UserCreate, UserPrivate, UserPublic, UserUpdate
from app.services.invalidation import PRIVATE, PUBLIC, CachedResponses, invalidate_after_commit

TAKEN = "There is an account with this address already."


async def lock_active_user(unit: UnitOfWork, user: ActiveUser, *, for_delete: bool = True) -> User:
    """The account that a request speaks for, in a transaction that changes it: locked, and checked once more, for it
    may have changed since."""
    account = await user_crud.lock(unit.session, user.id, token_version=user.token_version, for_delete=for_delete)
    if account is None:
        raise not_authenticated()
    return account


async def register(unit: UnitOfWork, *, data: UserCreate, passwords: Passwords, cache: CachedResponses) -> UserPrivate:
    """A new account."""
    user = User(
        email=data.email,
        display_name=data.display_name,
        password_hash=await passwords.hash(data.password.get_secret_value()),
    )
    unit.session.add(user)
    await _flush(unit)
    invalidate_after_commit(unit, cache, PUBLIC + "users")
    return UserPrivate.model_validate(user)


async def public_page(database: Database, *, limit: int, cursor: str | None, count: bool) -> Page[UserPublic]:
    """Public profiles of active accounts."""
    after = decode_cursor(cursor)
    rows = await user_crud.page(database.reader, private=False, limit=limit, after=after)
    total = await user_crud.count(database.reader, private=False) if count else None
    return Page[UserPublic].of(rows, limit=limit, total=total)


async def private_page(database: Database, *, limit: int, cursor: str | None, count: bool) -> Page[UserPrivate]:
    """All accounts, for an admin."""
    after = decode_cursor(cursor)
    rows = await user_crud.page(database.reader, private=True, limit=limit, after=after)
    total = await user_crud.count(database.reader, private=True) if count else None
    return Page[UserPrivate].of(rows, limit=limit, total=total)


async def change_me(unit: UnitOfWork, *, user: ActiveUser, data: UserUpdate, cache: CachedResponses) -> UserPrivate:
    """Change address or name."""
    account = await lock_active_user(unit, user)
    for field, value in data.changes().items():
        setattr(account, field, value)
    await _flush(unit)
    _invalidate(unit, account, cache)
    return UserPrivate.model_validate(account)


async def change_password(
    database: Database,
    unit: UnitOfWork,
    *,
    user: ActiveUser,
    current: str,
    new: str,
    passwords: Passwords,
    cache: CachedResponses,
) -> None:
    """Change the password, and end all logins: whoever knew the old one is out."""
    credentials = await user_crud.credentials(database.reader, user_id=user.id)
    if credentials is None or credentials["token_version"] != user.token_version:
        raise not_authenticated()  # it was changed since the request came in
    fits, _ = await passwords.verify(current, credentials["password_hash"])
    if not fits:
        raise Problem(403, "The current password is wrong.")
    new_hash = await passwords.hash(new)
    account = await lock_active_user(unit, user)
    account.password_hash = new_hash
    await _end_logins(unit, account, cache)


async def delete_me(unit: UnitOfWork, *, user: ActiveUser, cache: CachedResponses) -> None:
    """Delete the account and everything that belongs to it. The last admin stays."""
    # Locked before the account itself, for whoever locks admins locks them in the same order.
    admins = await user_crud.lock_admins(unit.session) if user.is_admin else []
    if [admin.id for admin in admins] == [user.id]:
        raise Problem(409, "The last admin stays: make another one first.")
    await _delete(unit, await lock_active_user(unit, user), cache)


async def administrate(
    unit: UnitOfWork, *, admin: ActiveUser, user_id: uuid.UUID, data: UserAdminUpdate, cache: CachedResponses
) -> UserPrivate:
    """What an admin changes about an account; its logins end."""
    account = await _lock_for_admin(unit, admin, user_id)
    changes = data.changes()
    for field, value in changes.items():
        setattr(account, field, value)
    if changes:
        await _end_logins(unit, account, cache)
    await unit.session.flush()
    return UserPrivate.model_validate(account)


async def delete(unit: UnitOfWork, *, admin: ActiveUser, user_id: uuid.UUID, cache: CachedResponses) -> None:
    """Delete an account and everything that belongs to it, for an admin."""
    await _delete(unit, await _lock_for_admin(unit, admin, user_id), cache)


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


async def _delete(unit: UnitOfWork, account: User, cache: CachedResponses) -> None:
    await unit.session.delete(account)
    _invalidate(unit, account, cache)


async def _end_logins(unit: UnitOfWork, account: User, cache: CachedResponses) -> None:
    account.token_version += 1
    await token_crud.revoke_user(unit.session, account.id)
    _invalidate(unit, account, cache)


async def _flush(unit: UnitOfWork) -> None:
    try:
        await unit.session.flush()
    except IntegrityError:
        raise Problem(409, TAKEN) from None


def _invalidate(unit: UnitOfWork, account: User, cache: CachedResponses) -> None:
    invalidate_after_commit(unit, cache, f"{PRIVATE}{account.id}", PUBLIC + "users")
