"""Response caching at the endpoint: `@cached(...)` below the route's decorator.

An entry's key holds all that the answer depends on: path and query, and for private answers the caller and the version
of their token. Everything that is private to one caller is one group: any change to what they own drops it at once, and
ends a computation of the old answer that is under way.
"""

import asyncio
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response

from app.api.answers import Answer, render
from app.api.caller import caller_of
from app.core import metrics
from app.core.notes import notes_of
from app.core.security import Caller
from app.core.store import CacheKey, Lease, Store, StoreUnavailableError, private_group, public_group
from app.resources import resources_of

log = logging.getLogger("app.cache")
WAIT_SECONDS = 0.02  # between looks at an answer that another request is computing
WAITS = 25
Endpoint = Callable[..., Awaitable[Any]]
OWN = inspect.Parameter("cached_request", inspect.Parameter.KEYWORD_ONLY, annotation=Request)
"""What FastAPI gives to the cache itself, beside what the endpoint asks for."""


def cached(group: str | None = None) -> Callable[[Endpoint], "CachedEndpoint"]:
    """Cache an endpoint's answer, for everybody under `group`, else for the caller alone.

    The endpoint returns a model or a page. A miss is computed once: others wait for it. Without the store: just the
    endpoint. An answer is never older than CACHE_TTL, whatever could not be invalidated.
    """
    return lambda endpoint: CachedEndpoint(endpoint, group)


class CachedEndpoint:
    """An endpoint whose answers are cached. The rate limiter asks it for the key: one trip to Redis does for both."""

    def __init__(self, endpoint: Endpoint, group: str | None) -> None:
        functools.update_wrapper(self, endpoint)
        self._endpoint, self._group = endpoint, group
        self.__signature__ = inspect.Signature([*inspect.signature(endpoint).parameters.values(), OWN])

    def key(self, request: Request, caller: Caller | None) -> CacheKey | None:
        """The key of this request's answer; None for one that is not cached: admins see what others own."""
        asked = f"{request.scope['path']}?{request.scope['query_string'].decode('latin-1')}"
        if self._group is not None:
            return CacheKey(public_group(self._group), asked)
        if caller is None or caller.is_admin:
            return None
        return CacheKey(private_group(caller.user_id), f"{caller.token_version}:{asked}")

    async def __call__(self, *, cached_request: Request, **arguments: Any) -> Response:
        """The answer, from the store or from the endpoint."""
        request, key = cached_request, self.key(cached_request, caller_of(cached_request))

        async def compute() -> Answer:
            return render(request, await self._endpoint(**arguments))

        kept, store = resources_of(request).settings.answers_kept, resources_of(request).store
        if key is None or kept == 0:
            return _counted("bypass", await compute()).response(request)
        try:
            found = await _look_up(request, store, key)
        except StoreUnavailableError:
            return _counted("unavailable", await compute()).response(request)
        if isinstance(found, bytes):
            return _counted("hit", Answer.unpack(found)).response(request)
        return _counted("miss", await _compute(store, key, found, kept, compute)).response(request)


def _counted(result: str, answer: Answer) -> Answer:
    metrics.CACHE.labels(result).inc()
    return answer


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
    store: Store, key: CacheKey, lease: Lease | None, kept: int, compute: Callable[[], Awaitable[Answer]]
) -> Answer:
    try:
        answer = await compute()
    except BaseException:
        if lease is not None:
            await _quietly(store.release(key, lease))
        raise
    if lease is not None:
        await _quietly(store.fill(key, lease, answer.pack(), kept))
    return answer


async def _quietly(work: Awaitable[None]) -> None:
    try:
        await work
    except StoreUnavailableError:
        log.warning("cache not written")
