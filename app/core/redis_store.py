"""The store that all processes share: Redis, with one pipeline a request.

Redis being away costs callers a StoreUnavailableError and nothing else: after a failure it is left alone for a
moment, so that a request does not wait for a time-out that the one before it has already waited for.
"""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis, SSLConnection
from redis.asyncio.connection import ConnectionPool
from redis.exceptions import RedisError

from app.core.settings import Settings
from app.core.store import LEASE_SECONDS, CacheKey, Lease, StoreUnavailableError, Visit, Window, sliding_count

RETRY_AFTER = 1.0  # seconds that Redis is left alone after a failure
GENERATION_SECONDS = 3600  # far longer than any request computes an answer

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
        self._leave_alone_until = 0.0
        self._stale: set[str] = set()  # groups whose invalidation did not reach Redis
        self._fill = self._redis.register_script(FILL)
        self._release = self._redis.register_script(RELEASE)

    # The braces make Redis Cluster keep a group's keys together, so that one script may touch them.
    def _answers(self, group: str) -> str:
        return f"{self._prefix}:cache:{{{group}}}"

    def _generation(self, group: str) -> str:
        return f"{self._prefix}:generation:{{{group}}}"

    def _lease(self, key: CacheKey) -> str:
        return f"{self._prefix}:lease:{{{key.group}}}:{key.entry}"

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[Any]:
        """Redis, or StoreUnavailableError when it is away now or was a moment ago."""
        if time.monotonic() < self._leave_alone_until:
            raise StoreUnavailableError
        try:
            if self._stale:
                await self._invalidate(self._stale.copy())
            yield self._redis
        except (TimeoutError, RedisError, OSError) as error:
            self._leave_alone_until = time.monotonic() + RETRY_AFTER
            raise StoreUnavailableError from error

    async def visit(self, window: Window | None, key: CacheKey | None) -> Visit:
        """See Store."""
        now = time.time()
        async with self._guarded() as redis:
            pipeline = redis.pipeline(transaction=False)
            if window is not None:
                number = int(now // window.seconds)
                name = f"{self._prefix}:rate:{window.name}:"
                pipeline.incr(f"{name}{number}").expire(f"{name}{number}", window.seconds * 2)
                pipeline.get(f"{name}{number - 1}")
            if key is not None:
                pipeline.hget(self._answers(key.group), key.entry)
            results = await pipeline.execute()
        visit = Visit(looked_up=key, cached=results[-1] if key is not None else None)
        if window is not None:
            visit.count = sliding_count(int(results[2] or 0), results[0], window.seconds, now)
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
        """See Store. What does not reach Redis now is made up for before this process next reads from it."""
        self._stale.update(groups)
        async with self._guarded():
            pass

    async def _invalidate(self, groups: set[str]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for group in groups:
            # The generation first: whoever is computing an old answer must find it changed.
            pipeline.incr(self._generation(group)).expire(self._generation(group), GENERATION_SECONDS)
            pipeline.unlink(self._answers(group))
        await pipeline.execute()
        self._stale -= groups

    async def ping(self) -> None:
        """See Store; asks even when Redis was away a moment ago."""
        try:
            await self._redis.ping()
        except (TimeoutError, RedisError, OSError) as error:
            raise StoreUnavailableError from error

    async def close(self) -> None:
        """See Store."""
        await self._redis.aclose()


def connect(settings: Settings) -> Redis:
    """A client with short time-outs and no retries: the database answers sooner than a second try."""
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    options: dict[str, Any] = {
        "socket_timeout": settings.redis_timeout,
        "socket_connect_timeout": settings.redis_timeout,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": 200,
    }
    if settings.redis_url is not None:
        url = settings.redis_url.get_secret_value()
        if url.startswith("rediss"):
            options |= _tls(settings)
        return Redis.from_pool(ConnectionPool.from_url(url, **options))
    options |= {"host": settings.redis_host, "port": settings.redis_port}
    if settings.redis_password is not None:
        options["password"] = settings.redis_password.get_secret_value()
    if settings.redis_tls:
        options |= {"connection_class": SSLConnection, **_tls(settings)}
    return Redis.from_pool(ConnectionPool(**options))


def _tls(settings: Settings) -> dict[str, Any]:
    """Verify the server's certificate and name, against the given authority when there is one."""
    options: dict[str, Any] = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    authority = settings.redis_ssl_ca
    if authority and "-----BEGIN" in authority:
        options["ssl_ca_data"] = authority
    elif authority:
        options["ssl_ca_certs"] = authority
    return options
