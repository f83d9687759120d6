"""At most so many requests at once: those beyond are told to come back, and probes always pass.

Without a limit each request of a spike waits for all the others, the load balancer's probe among them, and a task that
is only busy is taken for dead: its load goes to the others, which are next.
"""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core import metrics
from app.core.errors import problem_response
from app.core.guard import PROBES
from app.core.notes import notes_of

RETRY_SECONDS = "1"
"""The least that the header can say; a full worker is expected to have room sooner (docs/app.md, Overload)."""


class InFlightLimit:
    """Stands inside of CORS: a page of another origin may read the refusal, too."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app, self.limit = app, limit
        self.in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; anything else (lifespan) goes through uncounted."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self.app(scope, receive, send)
            return
        if self.in_flight >= self.limit:
            metrics.REFUSED.inc()
            request = Request(scope)
            notes_of(request).refused = True
            detail = "Too many requests are being answered here; try again."
            refusal = problem_response(request, 503, detail, headers={"Retry-After": RETRY_SECONDS})
            await refusal(scope, receive, send)
            return
        self.in_flight += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.in_flight -= 1
