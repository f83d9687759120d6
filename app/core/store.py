"""What processes share and may lose: rate limit counters and cached answers.

`Store` is the interface; `MemoryStore` serves a single process, `app.core.redis_store` serves all of them. A request
costs one round trip: its visit is counted and its cached answer fetched together.
"""

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

LEASE_SECONDS = 2.0  # how long others wait for the one that computes an answer


class StoreUnavailableError(Exception):
    """The store does not answer; callers carry on without it."""


class Window(NamedTuple):
    """Whose requests are counted together, and over which time."""

    name: str
    seconds: int


class CacheKey(NamedTuple):
    """One answer within a group of answers that become stale together."""

    group: str
    entry: str


class Lease(NamedTuple):
    """The right to compute one answer. `generation` tells whether the group was invalidated meanwhile."""

    token: bytes
    generation: bytes


@dataclass(slots=True)
class Visit:
    """What one trip brought back: requests in the sliding window (this one included), and a cached answer."""

    count: float = 0
    looked_up: CacheKey | None = None
    cached: bytes | None = None


class Store(Protocol):
    """Counters and cached answers. Every method may raise StoreUnavailableError."""

    async def visit(self, window: Window | None, key: CacheKey | None) -> Visit:
        """Count a request, and look an answer up."""

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


def sliding_count(previous: float, current: float, seconds: int, now: float) -> float:
    """Requests in the last `seconds`: the current window, and the part of the previous one that is still in sight."""
    elapsed = (now % seconds) / seconds
    return previous * (1 - elapsed) + current


class MemoryStore:
    """The store of a single process. The oldest counters and groups go first when there are too many."""

    LIMIT = 10_000

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, int], int] = OrderedDict()
        self._groups: OrderedDict[str, dict[str, tuple[float, bytes]]] = OrderedDict()
        self._leases: dict[CacheKey, tuple[float, bytes]] = {}
        self._generations: OrderedDict[str, int] = OrderedDict()

    async def visit(self, window: Window | None, key: CacheKey | None) -> Visit:
        """See Store."""
        visit = Visit(looked_up=key)
        if window is not None:
            now = time.time()
            number = int(now // window.seconds)
            current = self._counts[window.name, number] = self._counts.get((window.name, number), 0) + 1
            previous = self._counts.get((window.name, number - 1), 0)
            visit.count = sliding_count(previous, current, window.seconds, now)
            _trim(self._counts, self.LIMIT)
        if key is not None:
            visit.cached = self._get(key)
        return visit

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
