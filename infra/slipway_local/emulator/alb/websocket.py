"""WebSockets through a load balancer: the same rules and targets as a request, then messages in both directions."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from urllib.parse import parse_qs

from ministack.services import alb
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from slipway_local.emulator.alb.proxy import error_response
from slipway_local.emulator.alb.routing import (
    LOAD_BALANCER_PATH_PREFIX,
    ForwardTarget,
    capture_target,
    find_load_balancer,
)
from slipway_local.emulator.asgi import AsgiApp, Receive, Scope, Send

OPEN_TIMEOUT_SECONDS = 10
CONNECTION_HEADERS = ("host", "connection", "upgrade", "content-length")
"""Those that the connection to the target has of its own; the handshake's are dropped by their prefix."""
RESPONSE_FRAMING = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive", "date"})
"""Fields of a refusal that the connection to the client has of its own."""
CLOSE_NORMAL = 1000
CLOSE_GOING_AWAY = 1001
RESERVED_CLOSE_CODES = {1005: CLOSE_NORMAL, 1006: CLOSE_GOING_AWAY}
"""Codes that stand for a frame which never came, and what to say instead of them."""


def add_websocket_proxy(app: AsgiApp) -> AsgiApp:
    """Returns an ASGI application that takes the WebSockets of load balancers, and leaves the rest to `app`."""

    async def gate(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
            balancer = find_load_balancer(headers.get("host", ""), scope["path"])
            if balancer:
                await receive()  # websocket.connect
                await _proxy_websocket(balancer, scope, headers, receive, send)
                return
        await app(scope, receive, send)

    return gate


async def _proxy_websocket(balancer: Any, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
    raw = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
    path = (
        "/" + raw.removeprefix(LOAD_BALANCER_PATH_PREFIX).partition("/")[2]
        if raw.startswith(LOAD_BALANCER_PATH_PREFIX)
        else raw
    )
    query = scope["query_string"].decode("latin-1")
    client = (scope.get("client") or ("127.0.0.1",))[0]
    with capture_target() as chosen:
        answer = await alb.dispatch_request(
            balancer, "GET", path, headers, b"", parse_qs(query), port=80, client_ip=client, raw_query_string=query
        )
    if not chosen:
        await _reject_handshake(scope, send, *answer)
        return
    (target,) = chosen
    try:
        connection = await _connect_to_target(target, f"{path}?{query}" if query else path, scope["subprotocols"])
    except InvalidStatus as refused:
        refusal = refused.response
        fields: dict[str, list[str]] = {}
        for name, value in refusal.headers.raw_items():
            fields.setdefault(name, []).append(value)
        await _reject_handshake(scope, send, refusal.status_code, fields, bytes(refusal.body or b""))
        return
    except TimeoutError:
        await _reject_handshake(scope, send, *error_response(504))
        return
    except (OSError, InvalidHandshake):
        await _reject_handshake(scope, send, *error_response(502))
        return
    await send({"type": "websocket.accept", "subprotocol": connection.subprotocol})
    await _relay(connection, receive, send)


async def _connect_to_target(target: ForwardTarget, path: str, subprotocols: list[Any]) -> ClientConnection:
    passed = {
        name: value
        for name, value in target.headers.items()
        if name not in CONNECTION_HEADERS and not name.startswith("sec-websocket-")
    }
    return await connect(
        f"ws://{target.headers.get('host', target.address)}{path}",
        host=target.address,
        port=target.port,
        additional_headers=passed,
        subprotocols=subprotocols or None,
        user_agent_header=None,
        compression=None,
        open_timeout=OPEN_TIMEOUT_SECONDS,
        ping_interval=None,
        max_size=None,
        proxy=None,
    )


async def _relay(connection: ClientConnection, receive: Receive, send: Send) -> None:
    """Until one side closes."""
    upstream = asyncio.create_task(_relay_to_target(connection, receive))
    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            key = "text" if isinstance(message, str) else "bytes"
            await send({"type": "websocket.send", key: message})
    if upstream.done():
        return
    upstream.cancel()
    code = connection.close_code or CLOSE_GOING_AWAY
    told = {"code": RESERVED_CLOSE_CODES.get(code, code), "reason": connection.close_reason or ""}
    await send({"type": "websocket.close"} | told)


async def _relay_to_target(connection: ClientConnection, receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            code = message.get("code") or CLOSE_NORMAL
            await connection.close(RESERVED_CLOSE_CODES.get(code, code))
            return
        data = message.get("text") if message.get("text") is not None else message.get("bytes")
        with contextlib.suppress(ConnectionClosed):  # the other direction tells the client
            await connection.send(data or b"")


async def _reject_handshake(scope: Scope, send: Send, status: int, headers: Any, body: Any) -> None:
    """Answers the handshake with an HTTP response: the target's own with headers and body, or the load balancer's."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    fields = [
        (name.lower().encode("latin-1"), text.encode("latin-1"))
        for name, value in headers.items()
        if name.lower() not in RESPONSE_FRAMING
        for text in (value if isinstance(value, list) else [value])
    ]
    fields.append((b"content-length", str(len(body)).encode()))
    await send({"type": "websocket.http.response.start", "status": status, "headers": fields})
    await send({"type": "websocket.http.response.body", "body": body})
