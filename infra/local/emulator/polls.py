"""Long polls of SQS: who has gone gets no message any more.

ministack goes on with a poll whose client has closed its connection, for up to 20 s. What it then takes is in flight
until the queue's visibility time-out: a rollout of the worker could have delayed a job by a quarter of an hour.
"""

from __future__ import annotations

import asyncio
from typing import Any

from infra.local.emulator.asgi import App, body_of

POLL = (b"x-amz-target", b"AmazonSQS.ReceiveMessage")


def through_polls(app: App) -> App:
    """An ASGI application that ends a poll with its client's connection, and leaves the rest to `app`."""

    async def gate(scope: Any, receive: Any, send: Any) -> None:
        if POLL not in scope.get("headers", ()):
            await app(scope, receive, send)
            return
        body = await body_of(receive)

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
