"""Types and helpers of the ASGI middlewares around ministack's application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]


async def read_body(receive: Receive) -> bytes:
    """Returns the whole body of a request."""
    body = b""
    more = True
    while more:
        message = await receive()
        body = body + message.get("body", b"")
        more = message.get("more_body", False)
    return body


def add_fixed_answer(app: AsgiApp, path: str, body: bytes) -> AsgiApp:
    """Returns an ASGI application that answers GET `path` with the JSON document `body`, and leaves the rest to `app`.

    Only this machine gets the answer: a request from a container gets 403.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != path:
            await app(scope, receive, send)
            return
        is_local = (scope.get("client") or ("",))[0] == "127.0.0.1"
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200 if is_local else 403, "headers": headers})
        await send({"type": "http.response.body", "body": body if is_local else b"{}"})

    return answer
