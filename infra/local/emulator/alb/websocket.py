"""WebSockets through a load balancer: the same rules and targets as a request, then messages in both directions."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from urllib.parse import parse_qs

from ministack.services import alb
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from infra.local.emulator.alb.routing import PREFIX, Target, balancer_of, choosing
from infra.local.emulator.asgi import App, Receive, Scope, Send

OPEN_SECONDS = 10
OWN_HEADERS = ("host", "connection", "upgrade", "content-length")
"""Those that the connection to the target has of its own; the handshake's are dropped by their prefix."""
NORMAL, GOING_AWAY = 1000, 1001
UNSENDABLE = {1005: NORMAL, 1006: GOING_AWAY}
"""Codes that stand for a frame which never came, and what to say instead of them."""


def through_balancers(app: App) -> App:
    """An ASGI application that takes the WebSockets of load balancers, and leaves the rest to `app`."""

    async def gate(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
            balancer = balancer_of(headers.get("host", ""), scope["path"])
            if balancer:
                await receive()  # websocket.connect
                await _serve(balancer, scope, headers, receive, send)
                return
        await app(scope, receive, send)

    return gate


async def _serve(balancer: Any, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
    raw = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
    path = "/" + raw.removeprefix(PREFIX).partition("/")[2] if raw.startswith(PREFIX) else raw
    query = scope["query_string"].decode("latin-1")
    client = (scope.get("client") or ("127.0.0.1",))[0]
    with choosing() as chosen:
        status, _, _ = await alb.dispatch_request(
            balancer, "GET", path, headers, b"", parse_qs(query), port=80, client_ip=client, raw_query_string=query
        )
    if not chosen:
        await _refuse(scope, send, status)
        return
    (target,) = chosen
    try:
        connection = await _connect(target, f"{path}?{query}" if query else path, scope["subprotocols"])
    except InvalidStatus as refused:
        await _refuse(scope, send, refused.response.status_code)
        return
    except (OSError, InvalidHandshake, TimeoutError):
        await _refuse(scope, send, 502)
        return
    await send({"type": "websocket.accept", "subprotocol": connection.subprotocol})
    await _relay(connection, receive, send)


async def _connect(target: Target, path: str, subprotocols: list[Any]) -> ClientConnection:
    passed = {
        name: value
        for name, value in target.headers.items()
        if name not in OWN_HEADERS and not name.startswith("sec-websocket-")
    }
    return await connect(
        f"ws://{target.headers.get('host', target.address)}{path}",
        host=target.address,
        port=target.port,
        additional_headers=passed,
        subprotocols=subprotocols or None,
        user_agent_header=None,
        compression=None,
        open_timeout=OPEN_SECONDS,
        ping_interval=None,
        max_size=None,
        proxy=None,
    )


async def _relay(connection: ClientConnection, receive: Receive, send: Send) -> None:
    """Until one side closes."""
    upstream = asyncio.create_task(_upstream(connection, receive))
    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            key = "text" if isinstance(message, str) else "bytes"
            await send({"type": "websocket.send", key: message})
    if upstream.done():
        return
    upstream.cancel()
    code = connection.close_code or GOING_AWAY
    told = {"code": UNSENDABLE.get(code, code), "reason": connection.close_reason or ""}
    await send({"type": "websocket.close"} | told)


async def _upstream(connection: ClientConnection, receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            code = message.get("code") or NORMAL
            await connection.close(UNSENDABLE.get(code, code))
            return
        data = message.get("text") if message.get("text") is not None else message.get("bytes")
        with contextlib.suppress(ConnectionClosed):  # the other direction tells the client
            await connection.send(data or b"")


async def _refuse(scope: Scope, send: Send, status: int) -> None:
    """The answer to the handshake, as an HTTP response."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await send({"type": "websocket.http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close", "code": 1008})
