"""Long polls of SQS: who has gone gets no message any more.

ministack continues a poll whose client has closed its connection, for up to 20 s. What it then takes is in flight
until the queue's visibility time-out: a rollout of the worker could have delayed a job by a quarter of an hour.
"""

from __future__ import annotations

import asyncio
from typing import Any

from slipway_local.emulator.asgi import AsgiApp, read_body

RECEIVE_MESSAGE_HEADER = (b"x-amz-target", b"AmazonSQS.ReceiveMessage")


def add_long_poll_cancellation(app: AsgiApp) -> AsgiApp:
    """Returns an ASGI application that ends a poll with its client's connection, and leaves the rest to `app`."""

    async def gate(scope: Any, receive: Any, send: Any) -> None:
        if RECEIVE_MESSAGE_HEADER not in scope.get("headers", ()):
            await app(scope, receive, send)
            return
        body = await read_body(receive)

        async def asked() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        answering = asyncio.ensure_future(app(scope, asked, send))
        leaving = asyncio.ensure_future(receive())
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            leaving.cancel()
            answering.result()
        else:
            answering.cancel()

    return gate
