"""Accounts."""

import uuid

from fastapi import APIRouter, Depends, Request, Response

from app.api.cache import cached
from app.api.deps import (
    ORDINARY,
    PASSWORD,
    REGISTRATION,
    V1,
    CurrentAdmin,
    CurrentUser,
    DatabaseDep,
    Paging,
    ResourcesDep,
    UnitDep,
)
from app.api.responses import errors
from app.schemas.base import Page
from app.schemas.user import PasswordChange, UserAdminUpdate, UserCreate, UserPrivate, UserPublic, UserUpdate
from app.services import users

router = APIRouter(prefix=f"{V1}/users", tags=["users"], dependencies=[Depends(ORDINARY)])


@router.get("/", operation_id="listUsers", responses=errors())
@cached(group="users")
async def list_users(request: Request, response: Response, database: DatabaseDep, query: Paging) -> Page[UserPublic]:
    """Public profiles of active users, the oldest first. The next page is in the `Link` header."""
    page = await users.public_page(database, query)
    page.add_headers(request, response)
    return page


@router.post(
    "/", operation_id="registerUser", status_code=201, responses=errors(409), dependencies=[Depends(REGISTRATION)]
)
async def register(data: UserCreate, resources: ResourcesDep, unit: UnitDep) -> UserPrivate:
    """Register."""
    return await users.register(resources, unit, data=data)


@router.get("/me", operation_id="readMe", responses=errors(401))
async def read_me(user: CurrentUser) -> UserPrivate:
    """Your own account."""
    return user


@router.patch("/me", operation_id="changeMe", responses=errors(401, 409))
async def change_me(data: UserUpdate, user: CurrentUser, unit: UnitDep) -> UserPrivate:
    """Change your address or name."""
    return await users.change_me(unit, user=user, data=data)


@router.post(
    "/me/password",
    operation_id="changePassword",
    status_code=204,
    responses=errors(401, 403),
    dependencies=[Depends(PASSWORD)],
)
async def change_password(data: PasswordChange, user: CurrentUser, resources: ResourcesDep, unit: UnitDep) -> None:
    """Change your password. All logins end, this one included."""
    await users.change_password(resources, unit, user=user, data=data)


@router.delete("/me", operation_id="deleteMe", status_code=204, responses=errors(401, 409))
async def delete_me(user: CurrentUser, unit: UnitDep) -> None:
    """Delete your account and everything in it."""
    await users.delete_me(unit, user=user)


@router.get("/all", operation_id="listAccounts", responses=errors(401, 403))
async def list_accounts(
    request: Request, response: Response, _: CurrentAdmin, database: DatabaseDep, query: Paging
) -> Page[UserPrivate]:
    """All accounts, for admins."""
    page = await users.private_page(database, query)
    page.add_headers(request, response)
    return page


@router.patch("/{user_id}", operation_id="administrateUser", responses=errors(401, 403, 404, 409))
async def administrate(user_id: uuid.UUID, data: UserAdminUpdate, admin: CurrentAdmin, unit: UnitDep) -> UserPrivate:
    """Deactivate an account or make it an admin's; for admins. The account's logins end."""
    return await users.administrate(unit, admin=admin, user_id=user_id, data=data)


@router.delete("/{user_id}", operation_id="deleteUser", status_code=204, responses=errors(401, 403, 404, 409))
async def delete_user(user_id: uuid.UUID, admin: CurrentAdmin, unit: UnitDep) -> None:
    """Delete an account and everything in it; for admins."""
    await users.delete_user(unit, admin=admin, user_id=user_id)
