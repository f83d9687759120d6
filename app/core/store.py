"""What processes share and may lose: rate limit counters and cached answers.

`Store` is the interface; `MemoryStore` serves a single process, `app.core.redis_store` serves all of them. A request
costs one round trip: its visit is counted and its cached answer fetched together.
"""

import math
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

LEASE_SECONDS = 2.0  # how long others wait for the one that computes an answer
ROUNDING = 1e-6  # a request that fits exactly is let in, whatever the fractions come to


class StoreUnavailableError(Exception):
    """The store does not answer; callers carry on without it."""


class Window(NamedTuple):
    """Whose requests are counted together, how many may come, and in how many seconds."""

    name: str
    seconds: int
    limit: int


class CacheKey(NamedTuple):
    """One answer within a group of answers that become stale together."""

    group: str
    entry: str


def private_group(user_id: object) -> str:
    """The group of everything that was answered to one user."""
    return f"user:{user_id}"


def public_group(name: str) -> str:
    """The group of answers that are the same for everybody."""
    return f"public:{name}"


class Lease(NamedTuple):
    """The right to compute one answer. `generation` tells whether the group was invalidated meanwhile."""

    token: bytes
    generation: bytes


@dataclass(slots=True)
class Visit:
    """What one trip brought back: whether the request may come in, and a cached answer."""

    allowed: bool
    left: int  # requests that may still come
    seconds: int  # until there is room for one, when this was refused; else until the window ends
    shared: bool = True  # counted with all other processes' requests, and not by this process alone
    looked_up: CacheKey | None = None
    cached: bytes | None = None


def sliding_visit(window: Window, previous: int, current: int, now: float) -> Visit:
    """Judge one request by the requests that were allowed in this window and the one before it.

    Of the previous window counts the part that is still in sight, as if its requests had come evenly. Refused ones are
    not counted: whoever comes back after the time that they were told finds room, however often others have tried.
    """
    seconds, limit = window.seconds, window.limit
    passed = now % seconds
    used = previous * (1 - passed / seconds) + current
    if used + 1 <= limit + ROUNDING:
        return Visit(True, int(limit - used - 1 + ROUNDING), math.ceil(seconds - passed))
    if current + 1 <= limit:  # room comes as the previous window goes out of sight
        wait = seconds * (1 - (limit - 1 - current) / previous) - passed
    else:  # only in the next window, when this one is the previous
        wait = seconds * (1 - (limit - 1) / current) + seconds - passed
    return Visit(False, 0, max(1, math.ceil(wait)))


class Store(Protocol):
    """Counters and cached answers. Every method but `visit` may raise StoreUnavailableError."""

    async def visit(self, window: Window, key: CacheKey | None) -> Visit:
        """Count a request if there is room for it, and look an answer up."""

    async def claim(self, key: CacheKey) -> bytes | Lease | None:
        """The answer if it is there by now; else the right to compute it; else None: somebody else is at it."""

    async def fill(self, key: CacheKey, lease: Lease, answer: bytes, seconds: int) -> None:
        """Keep the answer, unless its group was invalidated since the claim, and end the lease."""

    async def release(self, key: CacheKey, lease: Lease) -> None:
        """End the lease without an answer."""

    async def invalidate(self, *groups: str) -> None:
        """Drop every answer of these groups, those being computed included."""

    async def ping(self) -> None:
        """Raise when the store does not answer."""

    async def close(self) -> None:
        """Close connections."""


class MemoryStore:
    """The store of a single process. The oldest counters and groups go first when there are too many."""

    LIMIT = 10_000

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, int], int] = OrderedDict()
        self._groups: OrderedDict[str, dict[str, tuple[float, bytes]]] = OrderedDict()
        self._leases: dict[CacheKey, tuple[float, bytes]] = {}
        self._generations: OrderedDict[str, int] = OrderedDict()

    async def visit(self, window: Window, key: CacheKey | None) -> Visit:
        """See Store."""
        now = time.time()
        number = int(now // window.seconds)
        current = self._counts.get((window.name, number), 0)
        visit = sliding_visit(window, self._counts.get((window.name, number - 1), 0), current, now)
        if visit.allowed:
            self._counts[window.name, number] = current + 1
            _trim(self._counts, self.LIMIT)
        if key is not None:
            visit.looked_up, visit.cached = key, self._get(key)
        return visit

    def take_back(self, window: Window) -> None:
        """Forget a request that was counted, and then refused elsewhere."""
        name = window.name, int(time.time() // window.seconds)
        self._counts[name] = max(0, self._counts.get(name, 0) - 1)

    def _get(self, key: CacheKey) -> bytes | None:
        expires, answer = self._groups.get(key.group, {}).get(key.entry, (0.0, b""))
        return answer if expires > time.monotonic() else None

    async def claim(self, key: CacheKey) -> bytes | Lease | None:
        """See Store."""
        if (answer := self._get(key)) is not None:
            return answer
        expires, _ = self._leases.get(key, (0.0, b""))
        if expires > time.monotonic():
            return None
        token = secrets.token_bytes(8)
        self._leases[key] = (time.monotonic() + LEASE_SECONDS, token)
        return Lease(token, str(self._generations.get(key.group, 0)).encode())

    async def fill(self, key: CacheKey, lease: Lease, answer: bytes, seconds: int) -> None:
        """See Store."""
        if str(self._generations.get(key.group, 0)).encode() == lease.generation:
            self._groups.setdefault(key.group, {})[key.entry] = (time.monotonic() + seconds, answer)
            _trim(self._groups, self.LIMIT)
        await self.release(key, lease)

    async def release(self, key: CacheKey, lease: Lease) -> None:
        """See Store."""
        if self._leases.get(key, (0.0, b""))[1] == lease.token:
            del self._leases[key]

    async def invalidate(self, *groups: str) -> None:
        """See Store."""
        for group in groups:
            self._groups.pop(group, None)
            self._generations[group] = self._generations.get(group, 0) + 1
            self._generations.move_to_end(group)
        _trim(self._generations, self.LIMIT)

    async def ping(self) -> None:
        """See Store."""

    async def close(self) -> None:
        """See Store."""


def _trim(table: OrderedDict[Any, Any], limit: int) -> None:
    while len(table) > limit:
        table.popitem(last=False)
