"""Rate limits as dependencies: per user with a token, else per address; stricter where a request tries a password.

The counters are in Redis, shared by all processes. Redis away: each process holds the limit by itself, and counts the
request as not shared. `limits` has no sliding window that fetches the cached answer on the same trip, which halves what
a limit costs.
"""

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from fastapi import Request

from app.api.cache import CachedEndpoint
from app.api.caller import caller_of
from app.core import metrics
from app.core.errors import Problem
from app.core.notes import notes_of
from app.core.security import Caller
from app.core.settings import Settings
from app.core.store import CacheKey, Window
from app.resources import resources_of


class RateLimit:
    """At most `limit` requests in `seconds`, counted apart from those of other kinds."""

    def __init__(
        self, kind: str, limit: Callable[[Settings], int], *, seconds: int = 60, by_address: bool = False
    ) -> None:
        self.kind, self.limit, self.seconds, self.by_address = kind, limit, seconds, by_address

    async def __call__(self, request: Request) -> None:
        """Let the request in, or refuse it with the time to come back."""
        caller = caller_of(request)
        known = caller is not None and not self.by_address
        who = f"user:{caller.user_id}" if caller and known else f"address:{_address(request)}"
        limit = self.limit(resources_of(request).settings)
        await _check(request, Window(f"{self.kind}:{who}", self.seconds, limit), self._answer(request, caller))

    def _answer(self, request: Request, caller: Caller | None) -> CacheKey | None:
        """The cached answer to fetch on the same trip, if this endpoint's answers are cached."""
        endpoint = getattr(request.scope.get("route"), "endpoint", None)
        return endpoint.key(request, caller) if self is ORDINARY and isinstance(endpoint, CachedEndpoint) else None


ORDINARY = RateLimit("any", lambda settings: settings.rate_limit_per_minute)
# What costs a hash, or could guess a password: who logs in and who registers has no token that could be believed.
LOGIN = RateLimit("login", lambda settings: settings.login_rate_limit_per_minute, by_address=True)
REGISTRATION = RateLimit("registration", lambda settings: settings.login_rate_limit_per_minute, by_address=True)
PASSWORD = RateLimit("password", lambda settings: settings.login_rate_limit_per_minute)


async def _check(request: Request, window: Window, key: CacheKey | None) -> None:
    notes = notes_of(request)
    visit = await resources_of(request).store.visit(window, key)
    if key is not None:
        notes.visit = visit
    notes.headers = [
        (b"ratelimit-limit", str(window.limit).encode()),
        (b"ratelimit-remaining", str(visit.left).encode()),
        (b"ratelimit-reset", str(visit.seconds).encode()),
    ]
    if not visit.allowed:
        metrics.LIMITER.labels("refused").inc()
        detail = f"At most {window.limit} requests in {window.seconds} seconds."
        raise Problem(429, detail, headers={"Retry-After": str(visit.seconds)})
    metrics.LIMITER.labels("allowed" if visit.shared else "unavailable").inc()


def _address(request: Request) -> str:
    """The client's address; uvicorn has put X-Forwarded-For's there when a trusted proxy sent it. Of IPv6 the network:
    a single customer has 2**64 addresses."""
    host = request.client.host if request.client else "unknown"
    try:
        address = ip_address(host)
    except ValueError:  # a test's client, or a socket in the file system
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(getattr(address, "ipv4_mapped", None) or address)
