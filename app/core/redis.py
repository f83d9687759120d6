"""Redis: its connection, and the counters of rate limits that processes share through it.

Time-outs are short, TLS verifies chain and name. Whatever the client raises (redis-py, asyncio or uvloop do, each in
its own words) is a StoreUnavailableError to its callers, and nothing else. After a failure Redis is left alone for a
moment, so that a request does not wait for a time-out that the one before it has already waited for.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from redis.asyncio import Redis, SSLConnection
from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.core.errors import StoreUnavailableError
from app.core.settings import Settings

AWAY_SECONDS = 1.0
"""How long Redis is left alone after a failure."""
CONNECTIONS = 50
"""Of this process; a trip takes under a millisecond, so a queue for them is short."""
ROUNDING = 1e-6  # a request that fits exactly is allowed, whatever the fractions add up to
T = TypeVar("T")


class RedisConnection:
    """Runs commands, at most CONNECTIONS at once."""

    def __init__(self, settings: Settings) -> None:
        self.client: Any = connect(settings)  # redis-py's own types mix its sync and async clients
        self.prefix = settings.redis_key_prefix or settings.slug
        self._timeout = settings.redis_timeout
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self.away_until = 0.0

    async def run(self, command: Callable[[], Awaitable[T]], *, even_if_away: bool = False) -> T:
        """The command's result. It may be run twice: a connection that was lost while it was idle is replaced once.

        Raises:
            StoreUnavailableError: Redis does not answer, or did not a moment ago unless `even_if_away`.
        """
        if not even_if_away and time.monotonic() < self.away_until:
            raise StoreUnavailableError
        await self._acquire_slot()
        try:
            return await self._attempt(command)
        except Exception as error:  # every failure of the client is Redis's, whatever its type
            self.away_until = time.monotonic() + AWAY_SECONDS
            raise StoreUnavailableError from error
        finally:
            self._slots.release()

    async def _acquire_slot(self) -> None:
        """Wait for one of the connections. Too many requests here say nothing about Redis: it is not away for that."""
        try:
            # A free one is taken at once: a time-out would be most of what that takes (7 us against 2).
            async with asyncio.timeout(self._timeout) if self._slots.locked() else nullcontext():
                await self._slots.acquire()
        except TimeoutError:
            raise StoreUnavailableError from None

    async def _attempt(self, command: Callable[[], Awaitable[T]]) -> T:
        try:
            return await command()
        except Exception as error:
            # Idle ones may lead to what was the primary before a failover, or to a peer that is gone.
            with suppress(Exception):
                await self.client.connection_pool.disconnect(inuse_connections=False)
            if isinstance(error, (TimeoutError, RedisTimeoutError)):  # it would not answer the second time either
                raise
        return await command()

    async def ping(self) -> None:
        """Write, as requests do, also when Redis was away a moment ago; raises StoreUnavailableError."""
        await self.run(lambda: self.client.set(f"{self.prefix}:ping", 1, ex=60), even_if_away=True)

    async def close(self) -> None:
        with suppress(Exception):
            await self.client.aclose()


def connect(settings: Settings) -> Redis:
    """A client with short time-outs and no retries of its own: the database answers sooner than a second try."""
    options: dict[str, Any] = {
        "socket_timeout": settings.redis_timeout,
        "socket_connect_timeout": settings.redis_timeout,
        "retry": Retry(NoBackoff(), 0),
    }
    url = settings.redis_url.get_secret_value() if settings.redis_url else None
    if url.startswith("rediss") if url else settings.redis_tls:
        options |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
        if authority := settings.redis_ssl_ca:
            options["ssl_ca_data" if "-----BEGIN" in authority else "ssl_ca_certs"] = authority
    if url:
        return Redis.from_pool(ConnectionPool.from_url(url, **options))
    if settings.redis_password is not None:
        options["password"] = settings.redis_password.get_secret_value()
    if settings.redis_tls:
        options["connection_class"] = SSLConnection
    return Redis.from_pool(ConnectionPool(host=settings.redis_host, port=settings.redis_port, **options))


class RateLimit(NamedTuple):
    """Whose requests are counted together, in how many seconds, and how many may come."""

    name: str
    seconds: int
    limit: int


@dataclass(slots=True)
class RateLimitResult:
    """Whether a request may come in."""

    allowed: bool
    remaining: int  # requests that may still come
    reset_seconds: int  # until there is room for one, when this was refused; else until the window ends
    shared: bool = True  # counted with all other processes' requests, and not by this process alone


def sliding_window(rate: RateLimit, previous: int, current: int, now: float) -> RateLimitResult:
    """Judge one request by the requests that were allowed in this window and the one before it.

    Of the previous window counts the part that is still in sight, as if its requests had come evenly. Refused ones are
    not counted: a caller that waits for Retry-After is served, however often others have tried.
    """
    seconds, limit = rate.seconds, rate.limit
    passed = now % seconds
    used = previous * (1 - passed / seconds) + current
    if used + 1 <= limit + ROUNDING:
        return RateLimitResult(True, int(limit - used - 1 + ROUNDING), math.ceil(seconds - passed))
    if current + 1 <= limit:  # room comes as the previous window goes out of sight
        wait = seconds * (1 - (limit - 1 - current) / previous) - passed
    else:  # only in the next window, when this one is the previous
        wait = seconds * (1 - (limit - 1) / current) + seconds - passed
    return RateLimitResult(False, 0, max(1, math.ceil(wait)))


class MemoryRateCounter:
    """Counts for this process alone. The oldest counters go first when there are too many."""

    MAX_COUNTERS = 10_000

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, int], int] = OrderedDict()

    async def count(self, rate: RateLimit) -> RateLimitResult:
        """Count a request if there is room for it. It does not fail, in Redis neither."""
        now = time.time()
        number = int(now // rate.seconds)
        current = self._counts.get((rate.name, number), 0)
        result = sliding_window(rate, self._counts.get((rate.name, number - 1), 0), current, now)
        if result.allowed:
            self._counts[rate.name, number] = current + 1
            while len(self._counts) > self.MAX_COUNTERS:
                self._counts.popitem(last=False)
        return result

    def take_back(self, rate: RateLimit) -> None:
        """Forget a request that was counted, and then refused elsewhere."""
        key = rate.name, int(time.time() // rate.seconds)
        self._counts[key] = max(0, self._counts.get(key, 0) - 1)


# Count a request if there is room for it (see sliding_window).
COUNT = """
local current, previous = tonumber(redis.call('GET', KEYS[1]) or 0), tonumber(redis.call('GET', KEYS[2]) or 0)
if previous * ARGV[3] + current + 1 > ARGV[1] + ARGV[4] then return {current, previous} end
redis.call('INCR', KEYS[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return {current, previous}
"""


class RedisRateCounter:
    """Counts for all processes. This process counts as well: its own limit holds while Redis is away, and is asked
    first, so that a flood is refused without a trip."""

    def __init__(self, redis: RedisConnection) -> None:
        self._redis = redis
        self._own = MemoryRateCounter()
        self._script: Any = redis.client.register_script(COUNT)

    async def count(self, rate: RateLimit) -> RateLimitResult:
        own = await self._own.count(rate)
        if not own.allowed:
            return own
        now = time.time()
        number = int(now // rate.seconds)
        keys = [f"{self._redis.prefix}:rate:{rate.name}:{n}" for n in (number, number - 1)]
        arguments = [rate.limit, rate.seconds * 2, 1 - now % rate.seconds / rate.seconds, ROUNDING]
        try:
            current, previous = await self._redis.run(lambda: self._script(keys=keys, args=arguments))
        except StoreUnavailableError:
            own.shared = False
            return own
        result = sliding_window(rate, previous, current, now)
        if not result.allowed:
            self._own.take_back(rate)
        return result


RateCounter = MemoryRateCounter | RedisRateCounter
