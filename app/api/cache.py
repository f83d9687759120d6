"""Response caching at the endpoint: `@cached(...)` below the route's decorator.

An entry's key holds all that the answer depends on: the route, its path and query, and for private answers the
caller and the version of their token. Everything that is private to one caller is one group: any change to what
they own drops it at once, and ends a computation of the old answer that is under way.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

from app.api.etags import etag_of, none_match
from app.core import metrics
from app.core.notes import notes_of
from app.core.security import Caller
from app.core.store import CacheKey, Lease, Store, StoreUnavailableError
from app.resources import resources_of

log = logging.getLogger("app.cache")
WAIT_SECONDS = 0.02  # between looks at an answer that another request is computing
WAITS = 25
PUBLIC = "public"
Endpoint = Callable[..., Awaitable[Any]]


def private_group(user_id: object) -> str:
    """The group of everything that was answered to one user."""
    return f"user:{user_id}"


def public_group(name: str) -> str:
    """The group of answers that are the same for everybody."""
    return f"{PUBLIC}:{name}"


def cache_key(request: Request, caller: Caller | None, group: str | None) -> CacheKey | None:
    """The key of this request's answer; None for one that is not cached: admins see what others own."""
    asked = f"{request.scope['path']}?{request.scope['query_string'].decode()}"
    if group is not None:
        return CacheKey(public_group(group), asked)
    if caller is None or caller.is_admin:
        return None
    return CacheKey(private_group(caller.user_id), f"{caller.token_version}:{asked}")


def cached(group: str | None = None) -> Callable[[Endpoint], Endpoint]:
    """Cache an endpoint's answer, for everybody under `group`, else for the caller alone.

    The endpoint takes `request`, and `caller` when the answer is private; it returns a model (with an `etag`, if
    reads of it are conditional). A miss is computed once: others wait for it. Without the store: just the endpoint.
    """

    def decorate(endpoint: Endpoint) -> Endpoint:
        @functools.wraps(endpoint)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            request: Request = kwargs["request"]
            key = cache_key(request, kwargs.get("caller"), group)
            ttl = resources_of(request).settings.answers_kept
            if key is None or ttl == 0:
                metrics.CACHE.labels("bypass").inc()
                return answer(request, pack(await endpoint(*args, **kwargs)))
            store: Store = resources_of(request).store
            try:
                found = await _look_up(request, store, key)
            except StoreUnavailableError:
                metrics.CACHE.labels("unavailable").inc()
                return answer(request, pack(await endpoint(*args, **kwargs)))
            if isinstance(found, bytes):
                metrics.CACHE.labels("hit").inc()
                return answer(request, found)
            metrics.CACHE.labels("miss").inc()
            return answer(request, await _compute(store, key, found, ttl, lambda: endpoint(*args, **kwargs)))

        wrapper.__cache_group__ = group  # type: ignore[attr-defined]  # read by the rate limiter: one trip for both
        wrapper.__is_cached__ = True  # type: ignore[attr-defined]
        return wrapper

    return decorate


async def _look_up(request: Request, store: Store, key: CacheKey) -> bytes | Lease | None:
    visit = notes_of(request).visit
    if visit is not None and visit.looked_up == key and visit.cached is not None:
        return visit.cached
    for _ in range(WAITS):
        found = await store.claim(key)
        if found is not None:
            return found
        await asyncio.sleep(WAIT_SECONDS)
    return None  # whoever computes it takes too long: compute it as well


async def _compute(
    store: Store, key: CacheKey, lease: Lease | None, ttl: int, endpoint: Callable[[], Awaitable[Any]]
) -> bytes:
    try:
        packed = pack(await endpoint())
    except BaseException:
        if lease is not None:
            await _quietly(store.release(key, lease))
        raise
    if lease is not None:
        await _quietly(store.fill(key, lease, packed, ttl))
    return packed


async def _quietly(work: Awaitable[None]) -> None:
    try:
        await work
    except StoreUnavailableError:
        log.warning("cache not written")


def pack(model: Any) -> bytes:
    """An answer as bytes: its entity tag, a tab, the next page's cursor, a line feed, its JSON."""
    if isinstance(model, Response):
        raise TypeError("a cached endpoint returns a model")
    body = model.model_dump_json() if isinstance(model, BaseModel) else model.json
    version = getattr(model, "version", None)
    etag = "" if version is None else etag_of(version)
    return f"{etag}\t{getattr(model, 'cursor', None) or ''}\n{body}".encode()


def answer(request: Request, packed: bytes) -> Response:
    """The response of a packed answer; 304 when the caller has it already."""
    about, _, body = packed.partition(b"\n")
    etag, _, cursor = about.decode().partition("\t")
    headers = {"cache-control": "private, no-cache"}
    if etag:
        headers["etag"] = etag
    if etag and none_match(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    if cursor:
        url = request.url.include_query_params(cursor=cursor)
        # Relative: behind a load balancer this process does not know what its address is.
        headers["link"] = f'<{url.path}?{url.query}>; rel="next"'
    return Response(body, media_type="application/json", headers=headers)
