"""At most so many requests at once: those beyond are told to come back, and probes always pass.

Without a limit each request of a spike waits for all the others, the load balancer's probe among them, and a task that
is only busy is taken for dead: its load goes to the others, which are next.
"""

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core import metrics
from app.core.guard import PROBES
from app.core.notes import notes_of
from app.core.problems import problem_response

RETRY_SECONDS = 1
"""The least that the header can say; a full worker is expected to have room sooner (docs/app.md, Overload).

Who is refused is told so after as long: a client that asks again at once would else take the time of those that were
let in, each of which waits for the event loop some ten times, behind every refusal of that turn."""
HELD = 10
"""Times the limit: so many wait for their refusal, some 10 KB each, and who comes then is refused at once."""


class InFlightLimit:
    """Stands inside of CORS: a page of another origin may read the refusal, too."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app, self.limit = app, limit
        self.in_flight = self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; anything else (lifespan) goes through uncounted."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self.app(scope, receive, send)
            return
        if self.in_flight >= self.limit:
            metrics.REFUSED.inc()
            await self._hold()
            request = Request(scope)
            notes_of(request).refused = True
            detail = "Too many requests are being answered here; try again."
            refusal = problem_response(request, 503, detail, headers={"Retry-After": str(RETRY_SECONDS)})
            await refusal(scope, receive, send)
            return
        self.in_flight += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.in_flight -= 1

    async def _hold(self) -> None:
        if self.held < HELD * self.limit:
            self.held += 1
            try:
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                self.held -= 1
