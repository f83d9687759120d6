"""Rejects requests as a load balancer does by itself: an invalid Host header, a body that stops arriving."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from hypercorn.protocol.h11 import H11Protocol

from slipway_local.emulator.alb.proxy import error_response
from slipway_local.emulator.alb.routing import find_load_balancer, idle_timeout, looks_like_load_balancer
from slipway_local.emulator.asgi import AsgiApp, Receive, Scope, Send

HOST_HEADER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


def disable_h2c_upgrade() -> None:
    """Answers `Upgrade: h2c` over HTTP/1.1: AWS's listeners have HTTP/2 over TLS only; hypercorn cannot do that."""

    async def check_protocol(self: H11Protocol, event: Any) -> None:
        return

    H11Protocol._check_protocol = check_protocol  # type: ignore[method-assign]  # a patch


def add_request_guard(app: AsgiApp) -> AsgiApp:
    """Returns an ASGI application that guards the requests to load balancers, and leaves the rest to `app`."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await app(scope, receive, send)
            return
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"]
        host = hosts[0] if hosts else ""
        if looks_like_load_balancer(host) and (len(hosts) > 1 or not HOST_HEADER.fullmatch(host)):
            await _answer(scope, send, 400)
            return
        balancer = find_load_balancer(host, scope["path"]) if scope["type"] == "http" else None
        if balancer is None:
            await app(scope, receive, send)
            return
        try:
            messages = await _receive_body(receive, idle_timeout(balancer))
        except TimeoutError:
            await _answer(scope, send, 408)
            return
        await app(scope, _replay(messages, receive), send)

    return guard


async def _receive_body(receive: Receive, seconds: float) -> list[Any]:
    """Returns the messages of a whole body. Raises `TimeoutError` when nothing of it arrives for so many seconds."""
    messages = []
    while True:
        message = await asyncio.wait_for(receive(), seconds)
        messages.append(message)
        if not message.get("more_body", False):
            return messages


def _replay(messages: list[Any], receive: Receive) -> Receive:
    waiting = list(messages)

    async def replay() -> Any:
        return waiting.pop(0) if waiting else await receive()

    return replay


async def _answer(scope: Scope, send: Send, status: int) -> None:
    _, headers, body = error_response(status)
    fields = [(name.lower().encode(), str(value).encode()) for name, value in headers.items()]
    fields += [(b"server", b"awselb/2.0"), (b"connection", b"close")]
    prefix = "websocket.http" if scope["type"] == "websocket" else "http"
    await send({"type": f"{prefix}.response.start", "status": status, "headers": fields})
    await send({"type": f"{prefix}.response.body", "body": body})
