"""Rate limits as a dependency: per user with a token, else per address; stricter where passwords are tried.

The counters are in Redis, shared by all processes. Redis away: requests go through, and are counted as unchecked.
`limits` has no sliding window that fetches the cached answer on the same trip, which halves what a limit costs.
"""

import math
import time
from typing import Annotated

from fastapi import Depends, Request

from app.api.cache import cache_key
from app.core import metrics
from app.core.errors import Problem
from app.core.notes import notes_of
from app.core.security import Caller
from app.core.store import CacheKey, StoreUnavailableError, Window
from app.resources import resources_of

PERIOD_SECONDS = 60


async def _check(request: Request, window: Window, limit: int, key: CacheKey | None) -> None:
    notes = notes_of(request)
    try:
        visit = await resources_of(request).store.visit(window, key)
    except StoreUnavailableError:
        metrics.LIMITER.labels("unavailable").inc()
        return
    notes.visit = visit
    left = max(0, math.floor(limit - visit.count))
    reset = PERIOD_SECONDS - int(time.time()) % PERIOD_SECONDS
    notes.headers = [
        (b"ratelimit-limit", str(limit).encode()),
        (b"ratelimit-remaining", str(left).encode()),
        (b"ratelimit-reset", str(reset).encode()),
    ]
    if visit.count > limit:
        metrics.LIMITER.labels("refused").inc()
        raise Problem(429, f"At most {limit} requests a minute.", headers={"Retry-After": str(reset)})
    metrics.LIMITER.labels("allowed").inc()


async def optional_caller(request: Request) -> Caller | None:
    """Who the request's token speaks for, without asking for one. The signature alone is looked at."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return resources_of(request).tokens.read(token) if scheme.lower() == "bearer" and token else None


async def rate_limit(request: Request, caller: Annotated[Caller | None, Depends(optional_caller)]) -> None:
    """The limit of ordinary requests."""
    endpoint = getattr(request.scope.get("route"), "endpoint", None)
    key = None
    if getattr(endpoint, "__is_cached__", False):
        key = cache_key(request, caller, getattr(endpoint, "__cache_group__", None))
    who = f"user:{caller.user_id}" if caller else f"address:{_address(request)}"
    await _check(request, Window(who, PERIOD_SECONDS), resources_of(request).settings.rate_limit_per_minute, key)


async def login_rate_limit(request: Request) -> None:
    """The limit of requests that try a password or a refresh token, by address."""
    window = Window(f"login:{_address(request)}", PERIOD_SECONDS)
    await _check(request, window, resources_of(request).settings.login_rate_limit_per_minute, None)


def _address(request: Request) -> str:
    """The client's address; uvicorn has put X-Forwarded-For's there when a trusted proxy sent it."""
    return request.client.host if request.client else "unknown"
