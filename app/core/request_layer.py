"""One ASGI layer around everything: request id, trusted hosts, body limit, security headers, metrics, the log line.

One layer and not seven, for each costs every request its own wrapping of `send` and `receive`.
"""

import logging
import re
import secrets
import time
from functools import lru_cache
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import metrics
from app.core.errors import problem_response
from app.core.logging import request_context
from app.core.notes import Notes, attach_notes
from app.core.settings import Settings

log = logging.getLogger("app.request")
_ID = re.compile(r"[\w.:=;-]{1,128}")
_TRACE = re.compile(r"Root=([\w-]+)|^00-([0-9a-f]{32})-")
QUIET = ("/livez", "/readyz")  # asked every few seconds; logged when they fail
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
# Swagger's page loads its script and style from a CDN.
DOCS_POLICY = b"default-src 'self'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; img-src 'self' data: https:; "
DOCS_POLICY += b"style-src 'unsafe-inline' https://cdn.jsdelivr.net; frame-ancestors 'none'"
DOCS = ("/docs", "/redoc")


class BodyTooLargeError(Exception):
    """The request's body goes beyond the limit."""


class RequestLayer:
    """See the module."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.limit = settings.max_body_bytes
        self.hosts = None if "*" in settings.trusted_hosts else settings.trusted_hosts
        self.tls = settings.environment not in ("local",)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; anything else (lifespan) goes through untouched."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await _Exchange(self, scope, receive, send).run()

    def trusts(self, host: str) -> bool:
        """Whether the app answers to this name; health checks come by address and are let through elsewhere."""
        if self.hosts is None:
            return True
        name = host.rsplit(":", 1)[0].lower()
        return any(name == known or (known[:2] == "*." and name.endswith(known[1:])) for known in self.hosts)


class _Exchange:
    """One request and its answer."""

    def __init__(self, layer: RequestLayer, scope: Scope, receive: Receive, send: Send) -> None:
        self.layer, self.scope, self.receive, self.send = layer, scope, receive, send
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self._header(b"x-request-id")
        self.notes = Notes(request_id=given if _ID.fullmatch(given) else secrets.token_hex(16))
        self.status = 0
        self.received = 0
        self.refused = False

    def _header(self, name: bytes, default: bytes = b"") -> str:
        return self.headers.get(name, default).decode("latin-1")

    async def run(self) -> None:
        attach_notes(self.scope, self.notes)
        context: dict[str, Any] = {"request_id": self.notes.request_id}
        trace = _TRACE.search(self._header(b"x-amzn-trace-id") or self._header(b"traceparent"))
        if trace:
            context["trace_id"] = trace[1] or trace[2]
        mark = request_context.set(context)
        start = time.perf_counter()
        metrics.IN_FLIGHT.inc()
        try:
            await self._answer()
        finally:
            metrics.IN_FLIGHT.dec()
            self._record(time.perf_counter() - start)
            request_context.reset(mark)

    async def _answer(self) -> None:
        length = self._header(b"content-length", b"0")
        path = self.scope["path"]
        if path not in QUIET and not self.layer.trusts(self._header(b"host")):
            await self._problem(400, "This host is not served here.")
        elif not length.isdigit() or int(length) > self.layer.limit:
            await self._problem(413, f"The body may have {self.layer.limit} bytes.")
        else:
            try:
                await self.layer.app(self.scope, self._receive, self._send)
            except Exception:
                log.exception("unhandled error")
                if not self.status:
                    await self._problem(500, "Something went wrong here; it has been noted.")

    async def _problem(self, status: int, detail: str) -> None:
        await problem_response(Request(self.scope), status, detail)(self.scope, self.receive, self._send)

    async def _receive(self) -> Message:
        message = await self.receive()
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
            if self.received > self.layer.limit:
                raise BodyTooLargeError  # FastAPI makes a 400 of it, which `_send` knows better
        return message

    async def _send(self, message: Message) -> None:
        if self.received > self.layer.limit and not self.status:
            self.refused, self.received = True, 0
            await self._problem(413, f"The body may have {self.layer.limit} bytes.")
            self.received = self.layer.limit + 1
            return
        if self.refused and self.received:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message.setdefault("headers", [])
            headers.append((b"x-request-id", self.notes.request_id.encode()))
            headers.extend(self.notes.headers)
            headers.extend(_secured(self.scope["path"], self.layer.tls))
        await self.send(message)

    def _record(self, seconds: float) -> None:
        template = route_template(self.scope)
        method = self.scope["method"] if self.scope["method"] in METHODS else "OTHER"
        _timer(method, template, str(self.status)).observe(seconds)
        if self.scope["path"] in QUIET and self.status < 400:
            return
        log.info(
            "request",
            extra={
                "method": self.scope["method"],
                "route": template,
                "status": self.status,
                "duration_ms": round(seconds * 1000, 2),
                "client": (self.scope.get("client") or ("-",))[0],
            },
        )


_timer = lru_cache(maxsize=1024)(metrics.REQUESTS.labels)  # routes by methods by statuses
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def route_template(scope: Scope) -> str:
    """The route as it was declared: a label with few values, whatever paths are asked for.

    A route of an included router knows its own part only (FastAPI from 0.137 on); what stands before it in the path
    is the routers' prefixes, which have no parameters here.
    """
    route = scope.get("route")
    if route is None:
        return "unmatched"
    own: str = route.path_format
    segments = scope["path"].split("/")
    return "/".join(segments[: len(segments) - own.count("/")]) + own


def _secured(path: str, tls: bool) -> list[tuple[bytes, bytes]]:
    if path in DOCS:
        return [(k, DOCS_POLICY if k == b"content-security-policy" else v) for k, v in SECURITY_HEADERS]
    return SECURITY_HEADERS if tls else _WITHOUT_TLS


_WITHOUT_TLS = [(k, v) for k, v in SECURITY_HEADERS if k != b"strict-transport-security"]
