"""Response caching at the endpoint: `@cached()` below the route's decorator, and nothing else to do.

The lookup is a dependency that comes before the endpoint's own: a hit ends the request there, and neither account nor
database is asked. That is safe, for an entry's key holds all that the response depends on: path and query, and for
private ones the caller and the version of their token. Any change to an account or to what it owns drops all of its
responses, and ends a computation that is under way. A response is never older than CACHE_TTL.
"""

import asyncio
import functools
import inspect
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, ParamSpec, TypeVar

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from app.api.deps import claims_of, resources_of
from app.core.cache import CacheKey, Lease, ResponseCache, public_group, user_group
from app.core.errors import StoreUnavailableError
from app.core.observability import metrics

log = logging.getLogger("app.cache")
WAIT_SECONDS = 0.02  # between looks at a response that another request is computing
WAITS = 25
P = ParamSpec("P")
T = TypeVar("T", bound=BaseModel)


class CacheHit(Exception):
    """Ends a request with the cached response: its headers as a line of JSON, then its body."""

    def __init__(self, packed: bytes) -> None:
        super().__init__()
        self.packed = packed


async def on_cache_hit(request: Request, hit: Exception) -> Response:
    """The exception handler that sends it."""
    assert isinstance(hit, CacheHit)  # noqa: S101 - Starlette's type for handlers is wider than what it calls
    headers, _, body = hit.packed.partition(b"\n")
    return Response(body, media_type="application/json", headers=json.loads(headers))


class CacheEntry:
    """A response that this request computes for the cache."""

    model: BaseModel | None = None


def cached(group: str | None = None) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Cache what an endpoint returns, for all callers under `group`, else for the caller alone (admins see what others
    own: theirs is not cached). A miss is computed once, while others wait for it. Without Redis: just the endpoint."""

    async def look_up(request: Request, response: Response) -> AsyncIterator[CacheEntry]:
        cache, key = resources_of(request).response_cache, _key_of(request, group)
        lease = await _claim_or_hit(cache, key)
        entry, packed = CacheEntry(), None
        if key is None or lease is None:
            yield entry
            return
        try:
            yield entry
            if entry.model is not None:
                packed = json.dumps(dict(response.headers)).encode() + b"\n" + entry.model.model_dump_json().encode()
        finally:
            await _end(cache, key, lease, packed)

    def decorate(endpoint: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        @functools.wraps(endpoint)
        async def compute(*args: P.args, **kwargs: P.kwargs) -> T:
            entry: Any = kwargs.pop("cache_entry")
            entry.model = model = await endpoint(*args, **kwargs)
            return model

        signature = inspect.signature(endpoint)
        dependency = Annotated[CacheEntry, Depends(look_up, scope="function")]
        lookup = inspect.Parameter("cache_entry", inspect.Parameter.KEYWORD_ONLY, annotation=dependency)
        own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in signature.parameters.values()]
        compute.__signature__ = signature.replace(parameters=[lookup, *own])  # type: ignore[attr-defined]  # what FastAPI reads
        return compute

    return decorate


def _key_of(request: Request, group: str | None) -> CacheKey | None:
    asked = f"{request.scope['path']}?{request.scope['query_string'].decode('latin-1')}"
    if group is not None:
        return CacheKey(public_group(group), asked)
    claims = claims_of(request)
    if claims is None or claims.is_admin:
        return None
    return CacheKey(user_group(claims.user_id), f"{claims.token_version}:{asked}")


async def _claim_or_hit(cache: ResponseCache, key: CacheKey | None) -> Lease | None:
    """The right to compute the response for the cache; None where it is computed for this request alone.

    Raises:
        CacheHit: it is there.
    """
    if key is None or cache.max_age == 0:
        metrics.CACHE.labels("bypass").inc()
        return None
    try:
        packed_or_lease = await cache.get(key) or await _claim(cache, key)
    except StoreUnavailableError:
        metrics.CACHE.labels("unavailable").inc()
        return None
    metrics.CACHE.labels("hit" if isinstance(packed_or_lease, bytes) else "miss").inc()
    if isinstance(packed_or_lease, bytes):
        raise CacheHit(packed_or_lease)
    return packed_or_lease


async def _claim(cache: ResponseCache, key: CacheKey) -> bytes | Lease | None:
    for _ in range(WAITS):
        packed_or_lease = await cache.claim(key)
        if packed_or_lease is not None:
            return packed_or_lease
        await asyncio.sleep(WAIT_SECONDS)
    return None  # the request that has the lease takes too long: compute it as well


async def _end(cache: ResponseCache, key: CacheKey, lease: Lease, packed: bytes | None) -> None:
    """Keep the response, or let others compute it."""
    try:
        await (cache.release(key, lease) if packed is None else cache.fill(key, lease, packed))
    except StoreUnavailableError:
        log.warning("cache not written")
