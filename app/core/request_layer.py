"""One ASGI layer around everything: request id, security headers, HEAD, metrics, the log line.

One layer and not five, for each costs every request its own wrapping of `send`.
"""

import logging
import re
import secrets
import time
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import metrics, tracing
from app.core.guard import PROBES
from app.core.logging import request_context
from app.core.notes import Notes, attach_notes
from app.core.sampling import chosen, must_be_told

log = logging.getLogger("app.request")
_ID = re.compile(r"[\w.:=;-]{1,128}", re.ASCII)
_TRACE = re.compile(r"Root=([\w-]+)|^00-([0-9a-f]{32})-")
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
# Swagger's page loads its script and style from a CDN.
DOCS_POLICY = b"default-src 'self'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; img-src 'self' data: https:; "
DOCS_POLICY += b"style-src 'unsafe-inline' https://cdn.jsdelivr.net; frame-ancestors 'none'"
DOCS_HEADERS = [(k, DOCS_POLICY if k == b"content-security-policy" else v) for k, v in SECURITY_HEADERS]
DOCS = ("/docs", "/redoc")
HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class RequestLayer:
    """See the module."""

    def __init__(self, app: ASGIApp, sample_rate: float = 1) -> None:
        self.app, self.sample_rate = app, sample_rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; anything else (lifespan) goes through untouched."""
        if scope["type"] == "http":
            await _Exchange(scope, send, self.sample_rate).run(self.app, receive)
        else:
            await self.app(scope, receive, send)


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, send: Send, sample_rate: float) -> None:
        self.sample_rate = sample_rate
        self.method = scope["method"]
        # Whatever can be read has a HEAD: it is the GET, and its answer without the body.
        self.scope = {**scope, "method": "GET"} if self.method == "HEAD" else scope
        self.send = send
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self._header(b"x-request-id")
        self.notes = Notes(request_id=given if _ID.fullmatch(given) else secrets.token_hex(16))
        self.status = 0

    def _header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    async def run(self, app: ASGIApp, receive: Receive) -> None:
        attach_notes(self.scope, self.notes)
        tracing.name_request(self.notes.request_id)
        context: dict[str, Any] = {"request_id": self.notes.request_id}
        trace = _TRACE.search(self._header(b"x-amzn-trace-id") or self._header(b"traceparent"))
        if trace:
            context["trace_id"] = trace[1] or trace[2]
        mark = request_context.set(context)
        start = time.perf_counter()
        metrics.IN_FLIGHT.inc()
        try:
            await app(self.scope, receive, self._send)
        finally:
            metrics.IN_FLIGHT.dec()
            self._record(time.perf_counter() - start, context)
            request_context.reset(mark)

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message.setdefault("headers", [])
            if self.status in (307, 308):
                message["headers"] = headers = [(k, self._local(v) if k == b"location" else v) for k, v in headers]
            headers.append((b"x-request-id", self.notes.request_id.encode()))
            headers.extend(self.notes.headers)
            headers.extend(_secured(self.scope))
        elif self.method == "HEAD" and message.get("body"):
            message = {**message, "body": b""}
        await self.send(message)

    def _local(self, location: bytes) -> bytes:
        """A redirect to this app itself, as the one that adds a slash, without the host that the caller named: behind a
        load balancer nobody here knows its own name, and a cache would keep what an attacker made of it."""
        parts = urlsplit(location)
        if parts.netloc.lower() != self.headers.get(b"host", b"").lower():
            return location
        return urlunsplit((b"", b"", b"/" + parts.path.lstrip(b"/"), parts.query, b""))

    def _record(self, seconds: float, context: dict[str, Any]) -> None:
        template = route_template(self.scope)
        method = self.method if self.method in METHODS else "OTHER"
        _timer(method, template, str(self.status)).observe(seconds, tracing.exemplar())
        if self.scope["path"] in PROBES and self.status < 400:
            return
        told = must_be_told(self.status, seconds, refused=self.notes.refused)
        rate = 1 if told else self.sample_rate
        if not chosen(context, rate):
            return
        log.info(
            "request",
            extra={
                "method": self.method,
                "route": template,
                "status": self.status,
                "duration_ms": round(seconds * 1000, 2),
                "client": (self.scope.get("client") or ("-",))[0],
                "sample_rate": rate,
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


def _secured(scope: Scope) -> list[tuple[bytes, bytes]]:
    headers = DOCS_HEADERS if scope["path"] in DOCS else SECURITY_HEADERS
    # RFC 6797, section 7.2: never over plain HTTP. A trusted proxy's X-Forwarded-Proto is in the scope's scheme.
    return [*headers, HSTS] if scope["scheme"] == "https" else headers
