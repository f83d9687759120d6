"""What endpoints depend on."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer

from app.api.limiter import login_rate_limit, optional_caller, rate_limit
from app.core.database import Database, UnitOfWork
from app.core.logging import request_context
from app.core.security import Caller, Passwords, Tokens
from app.core.settings import Settings
from app.core.store import Store
from app.jobs.files import Files
from app.jobs.sender import JobSender
from app.resources import resources_of
from app.services.auth import not_authenticated

oauth2 = OAuth2PasswordBearer(tokenUrl="/api/v1/auth/token", auto_error=False)
RATE_LIMIT = [Depends(rate_limit)]
LOGIN_RATE_LIMIT = [Depends(login_rate_limit)]


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


async def get_caller(
    caller: Annotated[Caller | None, Depends(optional_caller)],
    _: Annotated[str | None, Depends(oauth2)],  # for /docs
) -> Caller:
    """Who the access token speaks for. That the account still stands is checked by the query that follows."""
    if caller is None:
        raise not_authenticated()
    context = request_context.get()
    if context is not None:
        context["user_id"] = str(caller.user_id)
    return caller


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
CallerDep = Annotated[Caller, Depends(get_caller)]
StoreDep = Annotated[Store, Depends(get_store)]
PasswordsDep = Annotated[Passwords, Depends(get_passwords)]
TokensDep = Annotated[Tokens, Depends(get_tokens)]
JobsDep = Annotated[JobSender, Depends(get_jobs)]
FilesDep = Annotated[Files, Depends(get_files)]
