"""What no request gets past: an unknown host, a body that is too large, and an error that nobody foresaw.

It stands inside of CORS: a page of another origin may read its answers, too.
"""

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.problems import problem_response
from app.core.settings import Settings

log = logging.getLogger("app.request")
PROBES = ("/livez", "/readyz")  # asked by address, whatever names the app answers to


class Guard:
    """See the module."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.limit = settings.max_body_bytes
        self.too_large = f"The body may have {self.limit} bytes."
        self.hosts = None if "*" in settings.trusted_hosts else settings.trusted_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; anything else (lifespan) goes through untouched."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refuses(scope)
        if refusal is not None:
            await problem_response(Request(scope), *refusal)(scope, receive, send)
            return
        received, started = 0, False

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limit:
                raise HTTPException(413, self.too_large)
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, limited, watched)
        except Exception:
            log.exception("unhandled error")
            if not started:
                await problem_response(Request(scope), 500, "Something went wrong here.")(scope, receive, send)

    def _refuses(self, scope: Scope) -> tuple[int, str] | None:
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if scope["path"] not in PROBES and not self._trusts(headers.get(b"host", b"").decode("latin-1")):
            return 400, "This host is not served here."
        if not length.isdigit() or int(length) > self.limit:
            return 413, self.too_large
        return None

    def _trusts(self, host: str) -> bool:
        """Whether the app answers to this name."""
        if self.hosts is None:
            return True
        name = host.rsplit(":", 1)[0].lower()
        return any(name == known or (known[:2] == "*." and name.endswith(known[1:])) for known in self.hosts)
