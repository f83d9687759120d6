"""Where cached responses are: in Redis for all processes, or in memory for a single one.

A response belongs to a group, and a change drops the whole group. Who finds no response may get a lease: the right to
compute it, while others wait. What was computed before its group was invalidated is not kept.
"""

import asyncio
import secrets
import time
import uuid
from collections import OrderedDict
from typing import Any, NamedTuple

from app.core.errors import StoreUnavailableError
from app.core.redis import AWAY_SECONDS, RedisConnection

LEASE_SECONDS = 2.0
"""How long others wait for the one that computes a response."""
GENERATION_SECONDS = 3600
"""Far longer than any request computes a response."""


def user_group(user_id: uuid.UUID) -> str:
    """The group of everything that was answered to one user."""
    return f"user:{user_id}"


def public_group(name: str) -> str:
    """A group of responses that are the same for all callers."""
    return f"public:{name}"


class CacheKey(NamedTuple):
    """One response within a group."""

    group: str
    entry: str


class Lease(NamedTuple):
    """The right to compute one response. `generation` tells whether the group was invalidated meanwhile."""

    token: bytes
    generation: bytes


# Keep the response only if its group was not invalidated since the claim; the group expires with its first response.
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
        name = self._responses(key.group)
        response: bytes | None = await self._redis.run(lambda: self._redis.client.hget(name, key.entry))
        return response

    async def claim(self, key: CacheKey) -> bytes | Lease | None:
        """The response if it is there by now; else the right to compute it; else None: another request computes it."""
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
                # The generation first: a request that is computing an old response must find it changed.
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


class MemoryResponseCache:
    """The same for a single process without Redis. The oldest groups go first when there are too many."""

    MAX_GROUPS = 10_000

    def __init__(self, max_age: int) -> None:
        self.max_age = max_age
        self._groups: OrderedDict[str, dict[str, tuple[float, bytes]]] = OrderedDict()  # with when each expires
        self._leases: dict[CacheKey, tuple[float, Lease]] = {}
        self._generations: OrderedDict[str, int] = OrderedDict()

    async def get(self, key: CacheKey) -> bytes | None:
        expires, response = self._groups.get(key.group, {}).get(key.entry, (0.0, b""))
        return response if expires > time.monotonic() else None

    async def claim(self, key: CacheKey) -> bytes | Lease | None:
        if (response := await self.get(key)) is not None:
            return response
        if key in self._leases and self._leases[key][0] > time.monotonic():
            return None
        lease = Lease(secrets.token_bytes(8), self._generation(key.group))
        self._leases[key] = time.monotonic() + LEASE_SECONDS, lease
        return lease

    def _generation(self, group: str) -> bytes:
        return str(self._generations.get(group, 0)).encode()

    async def fill(self, key: CacheKey, lease: Lease, response: bytes) -> None:
        if self._generation(key.group) == lease.generation:
            self._groups.setdefault(key.group, {})[key.entry] = time.monotonic() + self.max_age, response
            self._trim(self._groups)
        await self.release(key, lease)

    async def release(self, key: CacheKey, lease: Lease) -> None:
        if key in self._leases and self._leases[key][1] == lease:
            del self._leases[key]

    async def invalidate(self, *groups: str) -> None:
        for group in groups:
            self._groups.pop(group, None)
            self._generations[group] = self._generations.get(group, 0) + 1
            self._generations.move_to_end(group)
        self._trim(self._generations)

    def _trim(self, table: OrderedDict[str, Any]) -> None:
        while len(table) > self.MAX_GROUPS:
            table.popitem(last=False)

    async def close(self) -> None:
        pass


ResponseCache = RedisResponseCache | MemoryResponseCache
