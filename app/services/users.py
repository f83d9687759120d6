"""Accounts: register, read, change, delete; what admins do with others' accounts."""

import uuid
from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError

from app.core.database import Database, Row, UnitOfWork
from app.core.errors import Problem
from app.core.security import Caller, Passwords
from app.core.store import Store, StoreUnavailableError, private_group, public_group
from app.crud import tokens as token_crud
from app.crud import users as user_crud
from app.models import User
from app.schemas.page import Page
from app.schemas.user import UserAdminUpdate, UserCreate, UserPrivate, UserPublic, UserUpdate
from app.services import cursor as cursors
from app.services.auth import not_authenticated

TAKEN = "There is an account with this address already."


async def register(unit: UnitOfWork, *, data: UserCreate, passwords: Passwords, store: Store) -> UserPrivate:
    """A new account."""
    user = User(
        email=data.email,
        display_name=data.display_name,
        password_hash=await passwords.hash(data.password.get_secret_value()),
    )
    unit.session.add(user)
    await _flush(unit)
    _forget(unit, store, public_group("users"))
    return UserPrivate.model_validate(user)


async def public_page(database: Database, *, limit: int, cursor: str | None, count: bool) -> Page:
    """Public profiles of active accounts."""
    after = cursors.decode(cursor, cursors.moment)
    rows = await user_crud.page(database.reader, private=False, limit=limit, after=after)
    total = await user_crud.count(database.reader, private=False) if count else None
    return Page(UserPublic, rows, _cursor(rows, limit), total)


async def private_page(database: Database, *, limit: int, cursor: str | None, count: bool) -> Page:
    """All accounts, for an admin."""
    after = cursors.decode(cursor, cursors.moment)
    rows = await user_crud.page(database.reader, private=True, limit=limit, after=after)
    total = await user_crud.count(database.reader, private=True) if count else None
    return Page(UserPrivate, rows, _cursor(rows, limit), total)


async def current(database: Database, *, caller: Caller) -> UserPrivate:
    """The caller's own account; a 401 when the token does not speak for it any more."""
    row = await user_crud.read(database.reader, caller.user_id)
    if row is None or not row["is_active"] or row["token_version"] != caller.token_version:
        raise not_authenticated()
    return UserPrivate.model_validate(row)


async def change_me(unit: UnitOfWork, *, caller: Caller, data: UserUpdate, store: Store) -> UserPrivate:
    """Change address or name."""
    user = await _lock_standing(unit, caller)
    for key, value in data.changes().items():
        setattr(user, key, value)
    await _flush(unit)
    _forget(unit, store, private_group(user.id), public_group("users"))
    return UserPrivate.model_validate(user)


async def change_password(
    database: Database,
    unit: UnitOfWork,
    *,
    caller: Caller,
    current: str,
    new: str,
    passwords: Passwords,
    store: Store,
) -> None:
    """Change the password, and end all logins: whoever knew the old one is out."""
    known = await user_crud.credentials(database.reader, user_id=caller.user_id)
    if known is None or known["token_version"] != caller.token_version:
        raise not_authenticated()
    fits, _ = await passwords.verify(current, known["password_hash"])
    if not fits:
        raise Problem(403, "The current password is wrong.")
    hashed = await passwords.hash(new)
    user = await _lock_standing(unit, caller)
    user.password_hash = hashed
    await _end_logins(unit, user, store)


async def delete_me(unit: UnitOfWork, *, caller: Caller, store: Store) -> None:
    """Delete the account and everything that belongs to it. The last admin stays."""
    user = await user_crud.get(unit.session, caller.user_id)
    # Locked before the account itself, for whoever locks admins locks them in the same order.
    admins = await user_crud.lock_admins(unit.session) if user and user.is_admin else []
    if [admin.id for admin in admins] == [caller.user_id]:
        raise Problem(409, "The last admin stays: make another one first.")
    await _delete(unit, await _lock_standing(unit, caller), store)


async def administrate(
    unit: UnitOfWork, *, caller: Caller, user_id: uuid.UUID, data: UserAdminUpdate, store: Store
) -> UserPrivate:
    """What an admin changes about an account; its logins end."""
    user = await _lock_for_admin(unit, caller, user_id)
    changes = data.changes()
    for key, value in changes.items():
        setattr(user, key, value)
    if changes:
        await _end_logins(unit, user, store)
    await unit.session.flush()
    return UserPrivate.model_validate(user)


async def delete(unit: UnitOfWork, *, caller: Caller, user_id: uuid.UUID, store: Store) -> None:
    """Delete an account and everything that belongs to it, for an admin."""
    await _delete(unit, await _lock_for_admin(unit, caller, user_id), store)


async def standing(unit: UnitOfWork, caller: Caller) -> User:
    """The caller's account, for a change of what it owns; a 401 when the token does not speak for it any more."""
    user = await user_crud.standing(unit.session, caller)
    if user is None:
        raise not_authenticated()
    return user


async def _lock_standing(unit: UnitOfWork, caller: Caller) -> User:
    """The caller's account, for a change of the account itself."""
    user = await user_crud.lock(unit.session, caller.user_id, token_version=caller.token_version, for_delete=True)
    if user is None or not user.is_active:
        raise not_authenticated()
    return user


async def _lock_for_admin(unit: UnitOfWork, caller: Caller, user_id: uuid.UUID) -> User:
    """Another account, for an admin to change. Admins do not change their own here, and of two that change each other
    the second is none any more: so there is always one."""
    admins = await user_crud.lock_admins(unit.session)
    if caller.user_id not in {admin.id for admin in admins if admin.token_version == caller.token_version}:
        await standing(unit, caller)
        raise Problem(403, "This is for admins.")
    if user_id == caller.user_id:
        raise Problem(409, "Admins do not change their own account here.")
    user = await user_crud.lock(unit.session, user_id, for_delete=True)
    if user is None:
        raise Problem(404, "There is no such user.")
    return user


async def _delete(unit: UnitOfWork, user: User, store: Store) -> None:
    await unit.session.delete(user)
    _forget(unit, store, private_group(user.id), public_group("users"))


async def _end_logins(unit: UnitOfWork, user: User, store: Store) -> None:
    user.token_version += 1
    await token_crud.revoke_user(unit.session, user.id)
    _forget(unit, store, private_group(user.id), public_group("users"))


async def _flush(unit: UnitOfWork) -> None:
    try:
        await unit.session.flush()
    except IntegrityError:
        raise Problem(409, TAKEN) from None


def _forget(unit: UnitOfWork, store: Store, *groups: str) -> None:
    unit.after_commit(lambda: invalidate(store, *groups))


async def invalidate(store: Store, *groups: str) -> None:
    """Drop cached answers. Without the store there is nothing to drop; it makes up for it when it is back."""
    try:
        await store.invalidate(*groups)
    except StoreUnavailableError:
        return


def _cursor(rows: Sequence[Row], limit: int) -> str | None:
    if len(rows) < limit:
        return None
    return cursors.encode(rows[-1]["created_at"], rows[-1]["id"])
