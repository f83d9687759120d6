"""Accounts."""

import uuid

from fastapi import APIRouter, Depends, Request, Response

from app.api.cache import cached
from app.api.deps import (
    ORDINARY,
    PASSWORD,
    REGISTRATION,
    V1,
    CacheDep,
    CurrentAdmin,
    CurrentUser,
    DatabaseDep,
    PasswordsDep,
    UnitDep,
)
from app.api.responses import errors
from app.schemas.base import Count, Cursor, Limit, Page
from app.schemas.user import PasswordChange, UserAdminUpdate, UserCreate, UserPrivate, UserPublic, UserUpdate
from app.services import users

router = APIRouter(prefix=f"{V1}/users", tags=["users"], dependencies=[Depends(ORDINARY)])


@router.get("/", operation_id="listUsers", responses=errors())
@cached(group="users")
async def list_users(
    request: Request,
    response: Response,
    database: DatabaseDep,
    limit: Limit = 20,
    cursor: Cursor = None,
    count: Count = False,
) -> Page[UserPublic]:
    """Public profiles of active users, the oldest first. The next page is in the `Link` header."""
    page = await users.public_page(database, limit=limit, cursor=cursor, count=count)
    page.add_headers(request, response)
    return page


@router.post(
    "/",
    operation_id="registerUser",
    status_code=201,
    responses=errors(409),
    dependencies=[Depends(REGISTRATION)],
)
async def register(data: UserCreate, unit: UnitDep, passwords: PasswordsDep, cache: CacheDep) -> UserPrivate:
    """Register."""
    return await users.register(unit, data=data, passwords=passwords, cache=cache)


@router.get("/me", operation_id="readMe", responses=errors(401))
async def read_me(user: CurrentUser) -> UserPrivate:
    """Your own account."""
    return user


@router.patch("/me", operation_id="changeMe", responses=errors(401, 409))
async def change_me(data: UserUpdate, user: CurrentUser, unit: UnitDep, cache: CacheDep) -> UserPrivate:
    """Change your address or name."""
    return await users.change_me(unit, user=user, data=data, cache=cache)


@router.post(
    "/me/password",
    operation_id="changePassword",
    status_code=204,
    responses=errors(401, 403),
    dependencies=[Depends(PASSWORD)],
)
async def change_password(
    data: PasswordChange,
    user: CurrentUser,
    database: DatabaseDep,
    unit: UnitDep,
    passwords: PasswordsDep,
    cache: CacheDep,
) -> None:
    """Change your password. All logins end, this one included."""
    await users.change_password(
        database,
        unit,
        user=user,
        current=data.current_password.get_secret_value(),
        new=data.new_password.get_secret_value(),
        passwords=passwords,
        cache=cache,
    )


@router.delete("/me", operation_id="deleteMe", status_code=204, responses=errors(401, 409))
async def delete_me(user: CurrentUser, unit: UnitDep, cache: CacheDep) -> None:
    """Delete your account and everything in it."""
    await users.delete_me(unit, user=user, cache=cache)


@router.get("/all", operation_id="listAccounts", responses=errors(401, 403))
async def list_accounts(
    request: Request,
    response: Response,
    _: CurrentAdmin,
    database: DatabaseDep,
    limit: Limit = 20,
    cursor: Cursor = None,
    count: Count = False,
) -> Page[UserPrivate]:
    """All accounts, for admins."""
    page = await users.private_page(database, limit=limit, cursor=cursor, count=count)
    page.add_headers(request, response)
    return page


@router.patch("/{user_id}", operation_id="administrateUser", responses=errors(401, 403, 404, 409))
async def administrate(
    user_id: uuid.UUID, data: UserAdminUpdate, admin: CurrentAdmin, unit: UnitDep, cache: CacheDep
) -> UserPrivate:
    """Deactivate an account or make it an admin's; for admins. The account's logins end."""
    return await users.administrate(unit, admin=admin, user_id=user_id, data=data, cache=cache)


@router.delete("/{user_id}", operation_id="deleteUser", status_code=204, responses=errors(401, 403, 404, 409))
async def delete_user(user_id: uuid.UUID, admin: CurrentAdmin, unit: UnitDep, cache: CacheDep) -> None:
    """Delete an account and everything in it; for admins."""
    await users.delete(unit, admin=admin, user_id=user_id, cache=cache)
