"""Accounts."""

import uuid
from typing import Any

from fastapi import Depends, Request

from app.api.answers import render
from app.api.cache import cached
from app.api.deps import (
    Count,
    CurrentAdmin,
    CurrentUser,
    Cursor,
    DatabaseDep,
    Limit,
    PasswordsDep,
    StoreDep,
    UncheckedCaller,
    UnitDep,
)
from app.api.limiter import ORDINARY, PASSWORD, REGISTRATION
from app.api.responses import errors
from app.api.router import V1, Router
from app.schemas.user import PasswordChange, UserAdminUpdate, UserCreate, UserPrivate, UserPublic, UserUpdate
from app.services import users

router = Router(prefix=f"{V1}/users", tags=["users"], dependencies=[Depends(ORDINARY)])


@router.get("/", operation_id="listUsers", response_model=list[UserPublic], responses=errors())
@cached(group="users")
async def list_users(database: DatabaseDep, limit: Limit = 20, cursor: Cursor = None, count: Count = False) -> Any:
    """Public profiles of active users, the oldest first. The next page is in the `Link` header."""
    return await users.public_page(database, limit=limit, cursor=cursor, count=count)


@router.post(
    "/",
    operation_id="registerUser",
    status_code=201,
    responses=errors(409),
    dependencies=[Depends(REGISTRATION)],
)
async def register(data: UserCreate, unit: UnitDep, passwords: PasswordsDep, store: StoreDep) -> UserPrivate:
    """Register."""
    return await users.register(unit, data=data, passwords=passwords, store=store)


@router.get("/me", operation_id="readMe", responses=errors(401))
async def read_me(user: CurrentUser) -> UserPrivate:
    """Your own account."""
    return user


@router.patch("/me", operation_id="changeMe", responses=errors(401, 409))
async def change_me(data: UserUpdate, caller: UncheckedCaller, unit: UnitDep, store: StoreDep) -> UserPrivate:
    """Change your address or name."""
    return await users.change_me(unit, caller=caller, data=data, store=store)


@router.post(
    "/me/password",
    operation_id="changePassword",
    status_code=204,
    responses=errors(401, 403),
    dependencies=[Depends(PASSWORD)],
)
async def change_password(
    data: PasswordChange,
    caller: UncheckedCaller,
    database: DatabaseDep,
    unit: UnitDep,
    passwords: PasswordsDep,
    store: StoreDep,
) -> None:
    """Change your password. All logins end, this one included."""
    await users.change_password(
        database,
        unit,
        caller=caller,
        current=data.current_password.get_secret_value(),
        new=data.new_password.get_secret_value(),
        passwords=passwords,
        store=store,
    )


@router.delete("/me", operation_id="deleteMe", status_code=204, responses=errors(401, 409))
async def delete_me(caller: UncheckedCaller, unit: UnitDep, store: StoreDep) -> None:
    """Delete your account and everything in it."""
    await users.delete_me(unit, caller=caller, store=store)


@router.get("/all", operation_id="listAccounts", response_model=list[UserPrivate], responses=errors(401, 403))
async def list_accounts(
    request: Request,
    _: CurrentAdmin,
    database: DatabaseDep,
    limit: Limit = 20,
    cursor: Cursor = None,
    count: Count = False,
) -> Any:
    """All accounts, for admins."""
    return render(request, await users.private_page(database, limit=limit, cursor=cursor, count=count)).response(
        request
    )


@router.patch("/{user_id}", operation_id="administrateUser", responses=errors(401, 403, 404, 409))
async def administrate(
    user_id: uuid.UUID, data: UserAdminUpdate, caller: UncheckedCaller, unit: UnitDep, store: StoreDep
) -> UserPrivate:
    """Deactivate an account or make it an admin's; for admins. The account's logins end."""
    return await users.administrate(unit, caller=caller, user_id=user_id, data=data, store=store)


@router.delete("/{user_id}", operation_id="deleteUser", status_code=204, responses=errors(401, 403, 404, 409))
async def delete_user(user_id: uuid.UUID, caller: UncheckedCaller, unit: UnitDep, store: StoreDep) -> None:
    """Delete an account and everything in it; for admins."""
    await users.delete(unit, caller=caller, user_id=user_id, store=store)
