"""What surrounds every request, from the outside: its id, headers, metrics and log line; how many there are at once;
which hosts and how large bodies are served, and the answer to an unexpected error.

CORS stands between the first layer and the others, so that a page of another origin may read a refusal.
"""

import asyncio
import logging
import re
import secrets
import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.http.problems import problem_response
from app.core.observability import metrics, tracing
from app.core.observability.logging import always_logged, is_sampled, request_context
from app.core.settings import Settings

log = logging.getLogger("app.request")
PROBES = ("/livez", "/readyz")  # asked by address, whatever names the app answers to
CLIENT_CLOSED_REQUEST = 499
"""nginx's status for a client that left: no error of the server's, and no client is left to read a response."""
_ID = re.compile(r"[\w.:=;-]{1,128}", re.ASCII)
_TRACE = re.compile(r"Root=([\w-]+)|^00-([0-9a-f]{32})-")
SECURITY_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
# Swagger's page loads its script and style from a CDN.
DOCS_POLICY = b"default-src 'self'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; img-src 'self' data: https:; "
DOCS_POLICY += b"style-src 'unsafe-inline' https://cdn.jsdelivr.net; frame-ancestors 'none'"
DOCS_HEADERS = SECURITY_HEADERS | {b"content-security-policy": DOCS_POLICY}
DOCS = ("/docs", "/redoc")
HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
NO_CACHE = (b"cache-control", b"private, no-cache")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
RETRY_SECONDS = 1
"""The least that the header can say; a full worker is expected to have room sooner (docs/app.md, Overload).

A refusal is sent after as long: a client that asks again at once would otherwise slow down the requests that are being
served, each of which waits for the event loop some ten times, behind every refusal of that turn."""
HELD = 10
"""Times the limit: so many wait for their refusal, some 10 KB each, and who comes then is refused at once."""


class RequestMiddleware:
    """The outermost: a request's id, the headers of every response, metrics and the log line."""

    def __init__(self, app: ASGIApp, sample_rate: float = 1) -> None:
        self.app, self.sample_rate = app, sample_rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _Exchange(scope, send, self.sample_rate).run(self.app, receive)
        else:  # lifespan
            await self.app(scope, receive, send)


class _Exchange:
    """One request and its response."""

    def __init__(self, scope: Scope, send: Send, sample_rate: float) -> None:
        self.send, self.sample_rate = send, sample_rate
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.method, self.status = scope["method"], 0
        self.has_body = self.method != "HEAD"
        given_id = self._header(b"x-request-id")
        self.request_id = given_id if _ID.fullmatch(given_id) else secrets.token_hex(16)
        # What `request.state` is to endpoints; `response_headers` go with the response whatever it is, errors included.
        self.state = {**scope.get("state", {}), "request_id": self.request_id, "response_headers": []}
        # Whatever can be read has a HEAD: it is the GET, and its response without the body.
        self.scope = {**scope, "method": "GET"} if self.method == "HEAD" else scope
        self.scope["state"] = self.state

    def _header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    async def run(self, app: ASGIApp, receive: Receive) -> None:
        if tracing.is_on:
            tracing.name_request(self.request_id)
        context = {"request_id": self.request_id}
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
            message = self._start(message)
        elif not self.has_body and message.get("body"):
            message = {**message, "body": b""}
        await self.send(message)

    def _start(self, message: Message) -> Message:
        """The response's first message with the headers that every response has."""
        status, headers = message["status"], list(message.get("headers", ()))
        if status == 200 and b"if-none-match" in self.headers and self._has_already(headers):
            status, self.has_body = 304, False
            headers = [(k, v) for k, v in headers if k not in (b"content-length", b"content-type")]
        if status in (307, 308):
            headers = [(k, self._local(v) if k == b"location" else v) for k, v in headers]
        if all(k != NO_CACHE[0] for k, _ in headers):
            headers.append(NO_CACHE)
        headers.append((b"x-request-id", self.request_id.encode()))
        headers.extend(self.state["response_headers"])
        headers.extend((DOCS_HEADERS if self.scope["path"] in DOCS else SECURITY_HEADERS).items())
        if self.scope["scheme"] == "https":  # a trusted proxy's X-Forwarded-Proto; never over HTTP (RFC 6797, 7.2)
            headers.append(HSTS)
        self.status = status
        return {**message, "status": status, "headers": headers}

    def _has_already(self, headers: list[tuple[bytes, bytes]]) -> bool:
        """Whether If-None-Match names the response's ETag. A weak one will do (RFC 9110, section 13.1.2)."""
        etag = dict(headers).get(b"etag", b"").decode("latin-1")
        known = {tag.strip().removeprefix("W/") for tag in self._header(b"if-none-match").split(",")}
        return bool(etag) and ("*" in known or etag in known)

    def _local(self, location: bytes) -> bytes:
        """A redirect to this app itself, as the one that adds a slash, without the host that the caller named: behind a
        load balancer a task does not know its own name, and a cache would keep what an attacker made of it."""
        parts = urlsplit(location)
        if parts.netloc.lower() != self.headers.get(b"host", b"").lower():
            return location
        return urlunsplit((b"", b"", b"/" + parts.path.lstrip(b"/"), parts.query, b""))

    def _record(self, seconds: float, context: dict[str, Any]) -> None:
        route = route_template(self.scope)
        method = self.method if self.method in METHODS else "OTHER"
        labels = {"method": method, "route": route, "status": str(self.status)}
        if tracing.is_on:
            metrics.observe_with_trace(metrics.REQUESTS, labels, seconds)
        else:
            metrics.request_timer(**labels).observe(seconds)
        if self.scope["path"] in PROBES and self.status < 400:
            return
        rate = 1 if always_logged(self.status, seconds, overloaded="overloaded" in self.state) else self.sample_rate
        if not is_sampled(context, rate):
            return
        fields = {"method": self.method, "route": route, "status": self.status, "sample_rate": rate}
        client = (self.scope.get("client") or ("-",))[0]
        log.info("request", extra={**fields, "duration_ms": round(seconds * 1000, 2), "client": client})


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


class ConcurrencyLimitMiddleware:
    """Refuses what a full process cannot answer. Stands inside of CORS: a page of another origin may read that."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app, self.limit = app, limit
        self.in_flight = self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self.app(scope, receive, send)
            return
        if self.in_flight >= self.limit:
            metrics.REFUSED.inc()
            await self._hold()
            scope["state"]["overloaded"] = True
            detail = "Too many requests are being answered here; try again."
            refusal = problem_response(Request(scope), 503, detail, headers={"Retry-After": str(RETRY_SECONDS)})
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


class GuardMiddleware:
    """Which hosts and how large bodies are served, and the answer to an unexpected error."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.limit = settings.max_body_bytes
        self.too_large = f"The body may have {self.limit} bytes."
        self.hosts = None if "*" in settings.trusted_hosts else settings.trusted_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        refusal = self._refusal(scope["path"], headers)
        if refusal is not None:
            await problem_response(Request(scope), *refusal)(scope, receive, send)
            return
        received, started = 0, False
        expects_body = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"

        async def limited() -> Message:
            nonlocal received, expects_body
            message = await receive()
            if message["type"] == "http.disconnect" and expects_body:
                raise HTTPException(CLIENT_CLOSED_REQUEST, "The client left before it had sent the body.")
            expects_body = expects_body and message.get("more_body", False)
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

    def _refusal(self, path: str, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        if path not in PROBES and not self._trusts(headers.get(b"host", b"").decode("latin-1")):
            return 400, "This host is not served here."
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.limit:
            return 413, self.too_large
        return None

    def _trusts(self, host: str) -> bool:
        if self.hosts is None:
            return True
        name = host.rsplit(":", 1)[0].lower()
        return any(name == known or (known[:2] == "*." and name.endswith(known[1:])) for known in self.hosts)
