"""What endpoints depend on: transactions, the caller (`CurrentUser` is the account, checked), rate limits, and what
the process has open.
"""

from collections.abc import AsyncIterator, Callable
from ipaddress import IPv6Address, ip_address
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.security import OAuth2PasswordBearer
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.db.database import Database, UnitOfWork
from app.core.errors import Problem, not_authenticated
from app.core.observability import metrics
from app.core.observability.logging import request_context
from app.core.redis import RateLimit
from app.core.security.tokens import TokenClaims
from app.core.settings import Settings
from app.resources import Resources, open_resources
from app.schemas.base import PageQuery
from app.schemas.user import ActiveUser
from app.services.users import require_active_user

V1 = "/api/v1"


class ResourcesMiddleware:
    """Gives a request resources of its own where the app was not started.

    So it is under a server without ASGI's lifespan (`uvicorn --lifespan off`, Lambda adapters), and for a module-level
    `client = TestClient(app)`, each of whose requests has an event loop that connections do not outlive.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["app"].state.resources is not None:
            await self.app(scope, receive, send)
            return
        async with open_resources(scope["app"].state.settings) as scope["app.resources"]:
            await self.app(scope, receive, send)


async def get_resources(request: Request) -> Resources:
    """What the process has open (app/resources.py): settings, passwords, tokens, files, jobs."""
    return resources_of(request)


def resources_of(request: Request) -> Resources:
    """The same where there is no dependency."""
    resources: Resources = request.scope.get("app.resources") or request.app.state.resources
    return resources


async def get_database(request: Request) -> Database:
    """The database, for reads."""
    return resources_of(request).database


async def get_unit(request: Request) -> AsyncIterator[UnitOfWork]:
    """One transaction a request, committed before the response is sent; an error rolls it back."""
    resources = resources_of(request)
    async with resources.database.unit(resources.response_cache) as unit:
        yield unit


def claims_of(request: Request) -> TokenClaims | None:
    """The token's claims; None without a valid one. Its signature and its end are checked, and nothing else: enough to
    count the request or to find its cached response, and never to let it in.

    A function and no dependency: FastAPI takes longer to hand its result about than it takes to read the token.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return resources_of(request).tokens.read(token) if scheme.lower() == "bearer" and token else None


class ActiveUserBearer(OAuth2PasswordBearer):
    """The scheme that /docs logs in by, and whose account the token is."""

    async def __call__(self, request: Request) -> ActiveUser:  # type: ignore[override]  # FastAPI takes any result
        """The account that the request speaks for, as it is now: active, and with no change of password since the
        login. One dependency and not three, for FastAPI takes 20 us to solve each."""
        claims = claims_of(request)
        if claims is None:
            raise not_authenticated()
        context = request_context.get()
        if context is not None:
            context["user_id"] = str(claims.user_id)
        return await require_active_user(resources_of(request).database, claims)


get_current_user = ActiveUserBearer(tokenUrl=f"{V1}/auth/token")


async def get_current_admin(user: Annotated[ActiveUser, Depends(get_current_user)]) -> ActiveUser:
    """The same, when it is an admin's."""
    if not user.is_admin:
        raise Problem(403, "This is for admins.")
    return user


ResourcesDep = Annotated[Resources, Depends(get_resources)]
DatabaseDep = Annotated[Database, Depends(get_database)]
# The scope ends the transaction before the response goes out: a 201 is never sent for what was not committed.
UnitDep = Annotated[UnitOfWork, Depends(get_unit, scope="function")]
CurrentUser = Annotated[ActiveUser, Depends(get_current_user)]
CurrentAdmin = Annotated[ActiveUser, Depends(get_current_admin)]
Paging = Annotated[PageQuery, Query()]


class RateLimiter:
    """At most `limit` requests in `seconds`, counted apart from those of other kinds: per user with a token, else per
    address. `Depends(ORDINARY)` on a router or a route is all there is to it. The counters are in Redis, shared by all
    processes. Redis away: each process holds the limit by itself, and counts the request as not shared.
    """

    def __init__(
        self, kind: str, limit: Callable[[Settings], int], *, seconds: int = 60, by_address: bool = False
    ) -> None:
        self.kind, self.limit, self.seconds, self.by_address = kind, limit, seconds, by_address

    async def __call__(self, request: Request) -> None:
        """Let the request in, or refuse it with the time to come back."""
        resources = resources_of(request)
        limit = self.limit(resources.settings)
        result = await resources.rate_counter.count(RateLimit(f"{self.kind}:{self._who(request)}", self.seconds, limit))
        request.state.response_headers = [
            (b"ratelimit-limit", str(limit).encode()),
            (b"ratelimit-remaining", str(result.remaining).encode()),
            (b"ratelimit-reset", str(result.reset_seconds).encode()),
        ]
        if not result.allowed:
            metrics.LIMITER.labels("refused").inc()
            detail = f"At most {limit} requests in {self.seconds} seconds."
            raise Problem(429, detail, headers={"Retry-After": str(result.reset_seconds)})
        metrics.LIMITER.labels("allowed" if result.shared else "unavailable").inc()

    def _who(self, request: Request) -> str:
        claims = None if self.by_address else claims_of(request)
        return f"address:{client_address(request)}" if claims is None else f"user:{claims.user_id}"


ORDINARY = RateLimiter("any", lambda settings: settings.rate_limit_per_minute)
# What costs a hash, or could guess a password: who logs in and who registers has no token that could be believed.
LOGIN = RateLimiter("login", lambda settings: settings.login_rate_limit_per_minute, by_address=True)
REGISTRATION = RateLimiter("registration", lambda settings: settings.login_rate_limit_per_minute, by_address=True)
PASSWORD = RateLimiter("password", lambda settings: settings.login_rate_limit_per_minute)


def client_address(request: Request) -> str:
    """The client's address; uvicorn has put X-Forwarded-For's there when a trusted proxy sent it. Of IPv6 the network:
    a single customer has 2**64 addresses."""
    host = request.client.host if request.client else "unknown"
    try:
        address = ip_address(host)
    except ValueError:  # a test's client, or a socket in the file system
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(getattr(address, "ipv4_mapped", None) or address)
