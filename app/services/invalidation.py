"""Dropping cached responses when what they show has changed."""

from contextlib import suppress
from typing import Protocol

from app.core.db.database import UnitOfWork
from app.core.errors import StoreUnavailableError

PRIVATE = "user:"
"""The group of everything that was answered to one user is this and their identifier."""
PUBLIC = "public:"
"""The group of responses that are the same for everybody is this and a name."""


class CachedResponses(Protocol):
    """What services know of the cache (app/api/cache.py)."""

    async def invalidate(self, *groups: str) -> None:
        """Drop every response of these groups; StoreUnavailableError while Redis is away."""


def invalidate_after_commit(unit: UnitOfWork, cache: CachedResponses, *groups: str) -> None:
    """Drop the responses of these groups once the change is visible. While Redis is away the cache tries again by
    itself for as long as an old response could be served."""

    async def invalidate() -> None:
        with suppress(StoreUnavailableError):
            await cache.invalidate(*groups)

    unit.after_commit(invalidate)
