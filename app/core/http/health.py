"""Liveness and readiness. Readiness asks each dependency with a time-out, and remembers the answer for a moment."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

TIMEOUT_SECONDS = 1.0
MEMORY_SECONDS = 1.0
Check = Callable[[], Awaitable[None]]
"""Raises when a dependency does not answer."""


class Health:
    """Only start-up depends on the database: a task that has reached it once stays in the load balancer while the
    database is away, for no request is served better without any task. The answer says what is down all the same.
    """

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self.draining = False
        self._checks = checks
        self._started = False
        self._checked = 0.0
        self._reports: dict[str, dict[str, Any]] = {}
        self._lock = asyncio.Lock()

    async def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether to send requests here, and how each dependency is."""
        async with self._lock:
            if time.monotonic() - self._checked > MEMORY_SECONDS:
                reports = await asyncio.gather(*(_ask(check()) for check in self._checks.values()))
                self._reports = dict(zip(self._checks, reports, strict=True))
                self._started = self._started or self._reports["database"]["status"] == "up"
                self._checked = time.monotonic()
        ready = self._started and not self.draining
        down = any(report["status"] != "up" for report in self._reports.values())
        status = "draining" if self.draining else "degraded" if ready and down else "ok" if ready else "starting"
        return ready, {"status": status, "dependencies": self._reports}


async def _ask(question: Awaitable[None]) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        await asyncio.wait_for(question, TIMEOUT_SECONDS)
    except Exception as error:  # whatever it is, the dependency is not there
        return {"status": "down", "error": type(error).__name__}
    return {"status": "up", "latency_ms": round((time.perf_counter() - start) * 1000, 1)}
