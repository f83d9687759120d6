"""The store that all processes share: Redis, with one script a request.

Redis being away costs callers a StoreUnavailableError and nothing else: after a failure it is left alone for a
moment, so that a request does not wait for a time-out that the one before it has already waited for.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Any

from redis.exceptions import RedisError

from app.core.redis_client import connect
from app.core.settings import Settings
from app.core.store import (
    LEASE_SECONDS,
    ROUNDING,
    CacheKey,
    Lease,
    MemoryStore,
    StoreUnavailableError,
    Visit,
    Window,
    sliding_visit,
)

RETRY_AFTER = 1.0  # seconds that Redis is left alone after a failure
CONNECTIONS = 50  # of this process; a trip takes under a millisecond, so a queue for them is short
GENERATION_SECONDS = 3600  # far longer than any request computes an answer
FAILURES = (TimeoutError, RedisError, OSError)

# Count a request if there is room for it (see sliding_visit), and look an answer up.
VISIT = """
local current, previous = tonumber(redis.call('GET', KEYS[1]) or 0), tonumber(redis.call('GET', KEYS[2]) or 0)
if previous * ARGV[3] + current + 1 > ARGV[1] + ARGV[4] then return {current, previous} end
redis.call('INCR', KEYS[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return {current, previous, KEYS[3] and redis.call('HGET', KEYS[3], ARGV[5])}
"""

# Keep the answer only if nobody invalidated its group since the claim; the group expires with its first answer.
FILL = """
if (redis.call('GET', KEYS[2]) or '') == ARGV[1] then
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
  if redis.call('TTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[4]) end
end
if redis.call('GET', KEYS[3]) == ARGV[5] then redis.call('DEL', KEYS[3]) end
"""
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class RedisStore:
    """See app.core.store.Store."""

    def __init__(self, settings: Settings) -> None:
        self._redis: Any = connect(settings)  # redis-py's own types mix its sync and async clients
        self._prefix = settings.redis_key_prefix or settings.slug
        self._timeout = settings.redis_timeout
        self._kept = settings.cache_ttl
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._leave_alone_until = 0.0
        self._own = MemoryStore()
        self._stale: dict[str, float] = {}  # groups whose invalidation did not reach Redis, and until when it matters
        self._making_up: asyncio.Task[None] | None = None
        self._visit, self._fill = self._redis.register_script(VISIT), self._redis.register_script(FILL)
        self._release = self._redis.register_script(RELEASE)

    def _answers(self, group: str) -> str:
        return f"{self._prefix}:cache:{group}"

    def _generation(self, group: str) -> str:
        return f"{self._prefix}:generation:{group}"

    def _lease(self, key: CacheKey) -> str:
        return f"{self._prefix}:lease:{key.group}:{key.entry}"

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[Any]:
        """Redis, or StoreUnavailableError when it is away now or was a moment ago."""
        if time.monotonic() < self._leave_alone_until:
            raise StoreUnavailableError
        async with self._slot():
            if self._stale:
                await self._drop_stale()
            yield self._redis

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """One of the connections. Too many requests here say nothing about Redis: it is not left alone for that."""
        try:
            # A free one is taken at once: a time-out would be most of what that takes (7 us against 2).
            async with asyncio.timeout(self._timeout) if self._slots.locked() else nullcontext():
                await self._slots.acquire()
        except TimeoutError:
            raise StoreUnavailableError from None
        try:
            yield
        except FAILURES as error:
            self._leave_alone_until = time.monotonic() + RETRY_AFTER
            # An open connection may lead to what was the primary before a failover, and answers "read only" for ever.
            with suppress(*FAILURES):
                await self._redis.connection_pool.disconnect(inuse_connections=False)
            raise StoreUnavailableError from error
        finally:
            self._slots.release()

    async def visit(self, window: Window, key: CacheKey | None) -> Visit:
        """See Store. This process counts as well: its own limit holds while Redis is away, and is asked first."""
        own = await self._own.visit(window, None)
        if not own.allowed:
            return own
        now = time.time()
        number = int(now // window.seconds)
        keys = [f"{self._prefix}:rate:{window.name}:{n}" for n in (number, number - 1)]
        arguments: list[str | float] = [
            window.limit,
            window.seconds * 2,
            1 - now % window.seconds / window.seconds,
            ROUNDING,
        ]
        if key is not None:
            keys.append(self._answers(key.group))
            arguments.append(key.entry)
        try:
            async with self._guarded():
                current, previous, *cached = await self._visit(keys=keys, args=arguments)
        except StoreUnavailableError:
            own.shared = False
            return own
        visit = sliding_visit(window, previous, current, now)
        if not visit.allowed:
            self._own.take_back(window)
        visit.looked_up, visit.cached = key, cached[0] if cached else None
        return visit

    async def claim(self, key: CacheKey) -> bytes | Lease | None:
        """See Store."""
        token = secrets.token_hex(8).encode()
        async with self._guarded() as redis:
            pipeline = redis.pipeline(transaction=False)
            pipeline.hget(self._answers(key.group), key.entry)
            pipeline.set(self._lease(key), token, nx=True, px=int(LEASE_SECONDS * 1000))
            pipeline.get(self._generation(key.group))
            answer, won, generation = await pipeline.execute()
        lease = Lease(token, generation or b"") if won else None
        if answer is None:
            return lease
        if lease is not None:
            await self.release(key, lease)
        return bytes(answer)

    async def fill(self, key: CacheKey, lease: Lease, answer: bytes, seconds: int) -> None:
        """See Store."""
        async with self._guarded():
            await self._fill(
                keys=[self._answers(key.group), self._generation(key.group), self._lease(key)],
                args=[lease.generation, key.entry, answer, seconds, lease.token],
            )

    async def release(self, key: CacheKey, lease: Lease) -> None:
        """See Store."""
        async with self._guarded():
            await self._release(keys=[self._lease(key)], args=[lease.token])

    async def invalidate(self, *groups: str) -> None:
        """See Store. It is tried although Redis was away a moment ago, and again and again when it fails, for as long
        as there may be an old answer: other processes may still reach Redis, and serve it."""
        self._stale |= dict.fromkeys(groups, time.monotonic() + self._kept)
        try:
            async with self._slot():
                await self._drop_stale()
        except StoreUnavailableError:
            if self._making_up is None or self._making_up.done():
                self._making_up = asyncio.create_task(self._make_up())
            raise

    async def _make_up(self) -> None:
        while self._stale:
            await asyncio.sleep(RETRY_AFTER)
            try:
                async with self._slot():
                    await self._drop_stale()
            except StoreUnavailableError:
                now = time.monotonic()
                self._stale = {group: end for group, end in self._stale.items() if end > now}

    async def _drop_stale(self) -> None:
        groups = self._stale.copy()
        pipeline = self._redis.pipeline(transaction=False)
        for group in groups:
            # The generation first: whoever is computing an old answer must find it changed.
            pipeline.incr(self._generation(group)).expire(self._generation(group), GENERATION_SECONDS)
            pipeline.unlink(self._answers(group))
        await pipeline.execute()
        # One that has become stale again meanwhile has a later end, and is still to be dropped.
        self._stale = {group: end for group, end in self._stale.items() if groups.get(group) != end}

    async def ping(self) -> None:
        """See Store. It writes, as requests do, and asks even when Redis was away a moment ago."""
        async with self._slot():
            await self._redis.set(f"{self._prefix}:ping", 1, ex=60)

    async def close(self) -> None:
        """See Store."""
        if self._making_up is not None:
            self._making_up.cancel()
        await self._redis.aclose()
