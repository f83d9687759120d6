"""Response caching at the endpoint: `@cached()` below the route's decorator, and nothing else to do.

The lookup is a dependency that comes before the endpoint's own: a hit ends the request there, and neither account nor
database is asked. That is safe, for an entry's key holds all that the response depends on: path and query, and for
private ones the caller and the version of their token. Everything that is private to one caller is one group: any
change to their account or to what they own drops it at once, and ends a computation of the old one that is under way.
A response is never older than CACHE_TTL, whatever could not be invalidated.

Who finds no response may get a lease: the right to compute it, while others wait. One that was computed before its
group was invalidated is not kept.
"""

import asyncio
import functools
import inspect
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, ParamSpec, TypeVar, Union

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from app.api.deps import claims_of, resources_of
from app.core.errors import StoreUnavailableError
from app.core.observability import metrics
from app.core.redis import AWAY_SECONDS, RedisConnection
from app.services.invalidation import PRIVATE, PUBLIC

if TYPE_CHECKING:
    from app.api.memory_cache import MemoryResponseCache

log = logging.getLogger("app.cache")
WAIT_SECONDS = 0.02  # between looks at a response that another request is computing
WAITS = 25
LEASE_SECONDS = 2.0
"""How long others wait for the one that computes a response."""
GENERATION_SECONDS = 3600
"""Far longer than any request computes a response."""
P = ParamSpec("P")
T = TypeVar("T", bound=BaseModel)


def cached(group: str | None = None) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Cache what an endpoint returns, for everybody under `group`, else for the caller alone (admins see what others
    own: theirs is not cached). A miss is computed once, while others wait for it. Without Redis: just the endpoint."""

    dependency = Annotated[object, Depends(CacheLookup(group), scope="function")]

    def decorate(endpoint: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        @functools.wraps(endpoint)
        async def compute(*args: P.args, **kwargs: P.kwargs) -> T:
            entry = kwargs.pop("cache_entry")
            model = await endpoint(*args, **kwargs)
            if isinstance(entry, CacheEntry):
                await entry.keep(model)
            return model

        lookup = inspect.Parameter("cache_entry", inspect.Parameter.KEYWORD_ONLY, annotation=dependency)
        own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in inspect.signature(endpoint).parameters.values()]
        compute.__signature__ = inspect.signature(endpoint).replace(parameters=[lookup, *own])  # type: ignore[attr-defined]  # what FastAPI reads
        return compute

    return decorate


class CacheHit(Exception):
    """Ends a request with the cached response."""

    def __init__(self, packed: bytes) -> None:
        super().__init__()
        self.packed = packed


async def on_cache_hit(request: Request, hit: Exception) -> Response:
    """The exception handler that sends it: its headers are on the first line, as HTTP has them before the body."""
    assert isinstance(hit, CacheHit)  # noqa: S101 - Starlette's type for handlers is wider than what it calls
    headers, _, body = hit.packed.partition(b"\n")
    return Response(body, media_type="application/json", headers=json.loads(headers))


class CacheKey(NamedTuple):
    """One response within a group."""

    group: str
    entry: str


class Lease(NamedTuple):
    """The right to compute one response. `generation` tells whether the group was invalidated meanwhile."""

    token: bytes
    generation: bytes


class CacheEntry:
    """A response that this request computes for the cache."""

    def __init__(self, cache: "ResponseCache", key: CacheKey, lease: Lease, response: Response) -> None:
        self._cache, self._key, self._lease, self._response = cache, key, lease, response
        self.kept = False

    async def keep(self, model: BaseModel) -> None:
        """Keep the model, with the headers that the endpoint has set."""
        self.kept = True
        packed = json.dumps(dict(self._response.headers)).encode() + b"\n" + model.model_dump_json().encode()
        await _quietly(self._cache.fill(self._key, self._lease, packed))

    async def release(self) -> None:
        """Let others compute it."""
        await _quietly(self._cache.release(self._key, self._lease))


class CacheLookup:
    """The dependency of a cached endpoint: the entry to compute, or None. Raises CacheHit."""

    def __init__(self, group: str | None) -> None:
        self._group = group

    async def __call__(self, request: Request, response: Response) -> AsyncIterator[CacheEntry | None]:
        """Look the response up; when the request ends without it, others may compute it."""
        entry = await self._look(request, response)
        try:
            yield entry
        finally:
            if entry and not entry.kept:
                await entry.release()

    async def _look(self, request: Request, response: Response) -> CacheEntry | None:
        cache, key = resources_of(request).response_cache, self._key(request)
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
        return CacheEntry(cache, key, packed_or_lease, response) if packed_or_lease else None

    def _key(self, request: Request) -> CacheKey | None:
        asked = f"{request.scope['path']}?{request.scope['query_string'].decode('latin-1')}"
        if self._group is not None:
            return CacheKey(PUBLIC + self._group, asked)
        claims = claims_of(request)
        if claims is None or claims.is_admin:
            return None
        return CacheKey(f"{PRIVATE}{claims.user_id}", f"{claims.token_version}:{asked}")


async def _claim(cache: "ResponseCache", key: CacheKey) -> bytes | Lease | None:
    for _ in range(WAITS):
        packed_or_lease = await cache.claim(key)
        if packed_or_lease is not None:
            return packed_or_lease
        await asyncio.sleep(WAIT_SECONDS)
    return None  # whoever computes it takes too long: compute it as well


async def _quietly(work: Awaitable[None]) -> None:
    try:
        await work
    except StoreUnavailableError:
        log.warning("cache not written")


# Keep the response only if nobody invalidated its group since the claim; the group expires with its first response.
FILL = """
if (redis.call('GET', KEYS[2]) or '') == ARGV[1] then
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
  if redis.call('TTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[4]) end
end
if redis.call('GET', KEYS[3]) == ARGV[5] then redis.call('DEL', KEYS[3]) end
"""
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class RedisResponseCache:
    """Responses for all processes, kept for `max_age` seconds; 0: none. Every method may raise StoreUnavailableError.

    An invalidation that did not reach Redis is tried again for as long as there may be an old response: other processes
    may still reach Redis, and serve it.
    """

    def __init__(self, redis: RedisConnection, max_age: int) -> None:
        self._redis, self.max_age = redis, max_age
        self._stale: dict[str, float] = {}  # groups that are still to be invalidated, and until when it matters
        self._retry: asyncio.Task[None] | None = None
        self._fill: Any = redis.client.register_script(FILL)
        self._release: Any = redis.client.register_script(RELEASE)

    def _responses(self, group: str) -> str:
        return f"{self._redis.prefix}:cache:{group}"

    def _generation(self, group: str) -> str:
        return f"{self._redis.prefix}:generation:{group}"

    def _lease(self, key: CacheKey) -> str:
        return f"{self._redis.prefix}:lease:{key.group}:{key.entry}"

    async def get(self, key: CacheKey) -> bytes | None:
        """The response, if it is there."""
        if self._stale:
            await self._invalidate_stale()
        response: bytes | None = await self._redis.run(
            lambda: self._redis.client.hget(self._responses(key.group), key.entry)
        )
        return response

    async def claim(self, key: CacheKey) -> bytes | Lease | None:
        """The response if it is there by now; else the right to compute it; else None: somebody else is at it."""
        token = secrets.token_hex(8).encode()

        async def look() -> list[Any]:
            pipeline = self._redis.client.pipeline(transaction=False)
            pipeline.hget(self._responses(key.group), key.entry)
            pipeline.set(self._lease(key), token, nx=True, px=int(LEASE_SECONDS * 1000))
            pipeline.get(self._generation(key.group))
            replies: list[Any] = await pipeline.execute()
            return replies

        response, won, generation = await self._redis.run(look)
        lease = Lease(token, generation or b"") if won else None
        if response is None:
            return lease
        if lease is not None:
            await self.release(key, lease)
        return bytes(response)

    async def fill(self, key: CacheKey, lease: Lease, response: bytes) -> None:
        """Keep the response, unless its group was invalidated since the claim, and end the lease."""
        keys = [self._responses(key.group), self._generation(key.group), self._lease(key)]
        arguments = [lease.generation, key.entry, response, self.max_age, lease.token]
        await self._redis.run(lambda: self._fill(keys=keys, args=arguments))

    async def release(self, key: CacheKey, lease: Lease) -> None:
        """End the lease without a response."""
        await self._redis.run(lambda: self._release(keys=[self._lease(key)], args=[lease.token]))

    async def invalidate(self, *groups: str) -> None:
        """Drop every response of these groups, those being computed included. It is tried although Redis was away a
        moment ago, and again when it fails."""
        self._stale |= dict.fromkeys(groups, time.monotonic() + self.max_age)
        try:
            await self._invalidate_stale(even_if_away=True)
        except StoreUnavailableError:
            if self._retry is None or self._retry.done():
                self._retry = asyncio.create_task(self._keep_trying())
            raise

    async def _keep_trying(self) -> None:
        while self._stale:
            await asyncio.sleep(AWAY_SECONDS)
            try:
                await self._invalidate_stale(even_if_away=True)
            except StoreUnavailableError:
                now = time.monotonic()
                self._stale = {group: end for group, end in self._stale.items() if end > now}

    async def _invalidate_stale(self, *, even_if_away: bool = False) -> None:
        groups = self._stale.copy()

        async def invalidate() -> None:
            pipeline = self._redis.client.pipeline(transaction=False)
            for group in groups:
                # The generation first: whoever is computing an old response must find it changed.
                pipeline.incr(self._generation(group)).expire(self._generation(group), GENERATION_SECONDS)
                pipeline.unlink(self._responses(group))
            await pipeline.execute()

        await self._redis.run(invalidate, even_if_away=even_if_away)
        # One that has become stale again meanwhile has a later end, and is still to be dropped.
        self._stale = {group: end for group, end in self._stale.items() if groups.get(group) != end}

    async def close(self) -> None:
        """End what runs in the background."""
        if self._retry is not None:
            self._retry.cancel()


# In quotes wherever it is named above: the other one imports this module.
ResponseCache = Union["MemoryResponseCache", RedisResponseCache]
