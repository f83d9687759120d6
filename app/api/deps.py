"""What endpoints depend on."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.security import OAuth2PasswordBearer

from app.api.caller import caller_of
from app.api.router import V1
from app.core.database import Database, UnitOfWork
from app.core.errors import Problem
from app.core.logging import request_context
from app.core.security import Caller, Passwords, Tokens
from app.core.settings import Settings
from app.core.store import Store
from app.jobs.files import Files
from app.jobs.sender import JobSender
from app.resources import resources_of
from app.schemas.user import UserPrivate
from app.services import users
from app.services.auth import not_authenticated


async def get_settings(request: Request) -> Settings:
    """The process's settings."""
    return resources_of(request).settings


async def get_database(request: Request) -> Database:
    """The database, for reads."""
    return resources_of(request).database


async def get_unit(database: Annotated[Database, Depends(get_database)]) -> AsyncIterator[UnitOfWork]:
    """One transaction a request, committed before the answer is sent; an error rolls it back."""
    async with database.unit() as unit:
        yield unit


class AccessToken(OAuth2PasswordBearer):
    """The scheme that /docs logs in by, and who the token was given to."""

    async def __call__(self, request: Request) -> Caller:  # type: ignore[override]  # FastAPI takes any result
        """The caller. The token's signature and its end are checked, and not that the account still stands: only for
        endpoints whose next statement does that, such as the reads of items, which are one round trip so."""
        caller = caller_of(request)
        if caller is None:
            raise not_authenticated()
        context = request_context.get()
        if context is not None:
            context["user_id"] = str(caller.user_id)
        return caller


get_unchecked_caller = AccessToken(tokenUrl=f"{V1}/auth/token")


async def get_current_user(
    caller: Annotated[Caller, Depends(get_unchecked_caller)], database: Annotated[Database, Depends(get_database)]
) -> UserPrivate:
    """The account that the request speaks for, as it is now: active, and with no change of password since the login."""
    return await users.current(database, caller=caller)


async def get_current_admin(user: Annotated[UserPrivate, Depends(get_current_user)]) -> UserPrivate:
    """The same, when it is an admin's."""
    if not user.is_admin:
        raise Problem(403, "This is for admins.")
    return user


async def get_store(request: Request) -> Store:
    """Shared counters and cached answers."""
    return resources_of(request).store


async def get_passwords(request: Request) -> Passwords:
    """Hashing."""
    return resources_of(request).passwords


async def get_tokens(request: Request) -> Tokens:
    """Access tokens."""
    return resources_of(request).tokens


async def get_jobs(request: Request) -> JobSender:
    """Background jobs."""
    return resources_of(request).jobs


async def get_files(request: Request) -> Files:
    """Finished exports."""
    return resources_of(request).files


SettingsDep = Annotated[Settings, Depends(get_settings)]
DatabaseDep = Annotated[Database, Depends(get_database)]
# The scope ends the transaction before the answer goes out: a 201 is never sent for what was not committed.
UnitDep = Annotated[UnitOfWork, Depends(get_unit, scope="function")]
CurrentUser = Annotated[UserPrivate, Depends(get_current_user)]
CurrentAdmin = Annotated[UserPrivate, Depends(get_current_admin)]
UncheckedCaller = Annotated[Caller, Depends(get_unchecked_caller)]
StoreDep = Annotated[Store, Depends(get_store)]
PasswordsDep = Annotated[Passwords, Depends(get_passwords)]
TokensDep = Annotated[Tokens, Depends(get_tokens)]
JobsDep = Annotated[JobSender, Depends(get_jobs)]
FilesDep = Annotated[Files, Depends(get_files)]
# What lists take.
Limit = Annotated[int, Query(ge=1, le=100)]
Count = Annotated[bool, Query(description="Say in `X-Total-Count` how many there are on all pages")]
Cursor = Annotated[str | None, Query(max_length=1000, description="From the previous page's `Link` header")]
