"""Cached responses in memory, for a single process without Redis."""

import secrets
import time
from collections import OrderedDict
from typing import Any

from app.api.cache import LEASE_SECONDS, CacheKey, Lease


class MemoryResponseCache:
    """See RedisResponseCache, whose methods these are. The oldest groups go first when there are too many."""

    MAX_GROUPS = 10_000

    def __init__(self, max_age: int) -> None:
        self.max_age = max_age
        self._groups: OrderedDict[str, dict[str, tuple[float, bytes]]] = OrderedDict()
        self._leases: dict[CacheKey, tuple[float, bytes]] = {}
        self._generations: OrderedDict[str, int] = OrderedDict()

    async def get(self, key: CacheKey) -> bytes | None:
        """The response, if it is there."""
        expires, response = self._groups.get(key.group, {}).get(key.entry, (0.0, b""))
        return response if expires > time.monotonic() else None

    async def claim(self, key: CacheKey) -> bytes | Lease | None:
        """The response, or the right to compute it, or None."""
        if (response := await self.get(key)) is not None:
            return response
        expires, _ = self._leases.get(key, (0.0, b""))
        if expires > time.monotonic():
            return None
        token = secrets.token_bytes(8)
        self._leases[key] = (time.monotonic() + LEASE_SECONDS, token)
        return Lease(token, self._generation(key.group))

    def _generation(self, group: str) -> bytes:
        return str(self._generations.get(group, 0)).encode()

    async def fill(self, key: CacheKey, lease: Lease, response: bytes) -> None:
        """Keep the response, and end the lease."""
        if self._generation(key.group) == lease.generation:
            self._groups.setdefault(key.group, {})[key.entry] = (time.monotonic() + self.max_age, response)
            self._trim(self._groups)
        await self.release(key, lease)

    async def release(self, key: CacheKey, lease: Lease) -> None:
        """End the lease."""
        if self._leases.get(key, (0.0, b""))[1] == lease.token:
            del self._leases[key]

    async def invalidate(self, *groups: str) -> None:
        """Drop every response of these groups."""
        for group in groups:
            self._groups.pop(group, None)
            self._generations[group] = self._generations.get(group, 0) + 1
            self._generations.move_to_end(group)
        self._trim(self._generations)

    def _trim(self, table: OrderedDict[Any, Any]) -> None:
        while len(table) > self.MAX_GROUPS:
            table.popitem(last=False)

    async def close(self) -> None:
        """Nothing runs in the background."""
