"""One request to one target and the answer back, with the load balancer's time-outs and its own answers.

AWS sends a request to one target, once: what the target fails is answered, and another one is not tried.
502: it refused or closed the connection, or what it sent is no HTTP.
504: it could not be reached within 10 s, or was silent for longer than the idle time-out.
Sources: "Troubleshoot your Application Load Balancers" (HTTP 502 and 504) in the ELB user guide, and re:Post question
QUx1Aafz9fQc2nbRlRRZutOA ("It does not retry").
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

import h11
from ministack.core.responses import StreamingResponse

from slipway_local.emulator.asgi import Receive, Send

CONNECT_TIMEOUT_SECONDS = 10.0
"""AWS's, of a load balancer's connection to a target."""
READ_BYTES = 65536
CONNECTION_FIELDS = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "http2-settings"})
"""Header fields of one connection, which are not passed on to the other. A WebSocket does not come here."""
UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT)
"""Errors of an unused address. In a VPC no packet reports that, so AWS waits for the connection until its time-out."""

Headers = dict[str, str | list[str]]
Response = tuple[int, Headers, bytes | StreamingResponse]


@dataclass(frozen=True)
class TargetRequest:
    """A request as its target gets it."""

    address: str
    port: int
    method: str
    path: str
    """Path and query, as the client sent them."""
    headers: dict[str, str]
    body: bytes
    idle_timeout: float
    """Seconds that the target may be silent."""


class TargetFailure(Exception):
    """The target gave no answer; `status` is what the load balancer says instead."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def error_response(status: int) -> Response:
    """Returns the load balancer's own answer with a status; like AWS's it tells nothing of the target."""
    reason = f"{status} {HTTPStatus(status).phrase}"
    page = f"<html><head><title>{reason}</title></head><body><center><h1>{reason}</h1></center></body></html>\r\n"
    return status, {"Content-Type": "text/html"}, page.encode()


async def connection_timeout_response() -> Response:
    """Returns the answer for a connection that a security group drops, as late as AWS gives it."""
    await asyncio.sleep(CONNECT_TIMEOUT_SECONDS)
    return error_response(504)


async def forward_request(request: TargetRequest) -> Response:
    """Sends a request to its target, and returns the answer; its body is passed on as it arrives."""
    try:
        connection = await _Connection.open(request)
    except TargetFailure as failure:
        return error_response(failure.status)
    try:
        head = await connection.exchange(request)
    except TargetFailure as failure:
        await connection.close()
        return error_response(failure.status)
    except BaseException:  # the client is gone, or this process ends
        await connection.close()
        raise
    headers: Headers = {}
    for raw_name, raw_value in head.headers:
        name = raw_name.decode("latin-1").lower()
        if name in CONNECTION_FIELDS:
            continue
        value = raw_value.decode("latin-1")
        former = headers.get(name)
        if former is None:
            headers[name] = value
        else:
            headers[name] = [*(former if isinstance(former, list) else [former]), value]
    headers["date"] = formatdate(usegmt=True)  # the load balancer's own
    return head.status_code, headers, StreamingResponse(connection.relay_body)


class _Connection:
    """A connection to a target, for one request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, idle_timeout: float) -> None:
        self._reader = reader
        self._writer = writer
        self._idle_timeout = idle_timeout
        self._protocol = h11.Connection(h11.CLIENT)

    @classmethod
    async def open(cls, request: TargetRequest) -> _Connection:
        opening = asyncio.open_connection(request.address, request.port)
        try:
            reader, writer = await asyncio.wait_for(opening, CONNECT_TIMEOUT_SECONDS)
        except TimeoutError:
            raise TargetFailure(504) from None
        except OSError as error:
            raise TargetFailure(504 if error.errno in UNREACHABLE else 502) from None
        return cls(reader, writer, request.idle_timeout)

    async def exchange(self, request: TargetRequest) -> h11.Response:
        """Sends the request, and returns the head of the answer. Raises `TargetFailure`."""
        fields = [
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in CONNECTION_FIELDS | {"content-length"}
        ]
        if request.body or request.method.upper() in ("POST", "PUT", "PATCH"):
            fields.append(("content-length", str(len(request.body))))
        try:
            head = h11.Request(method=request.method.upper(), target=request.path, headers=fields)
            self._send(head)
            if request.body:
                self._send(h11.Data(data=request.body))
            self._send(h11.EndOfMessage())
            await asyncio.wait_for(self._writer.drain(), self._idle_timeout)
            while True:
                event = await self._next_event()
                if isinstance(event, h11.Response):
                    return event
                if not isinstance(event, h11.InformationalResponse):
                    raise TargetFailure(502)
        except TimeoutError:
            raise TargetFailure(504) from None
        except (OSError, h11.ProtocolError):
            raise TargetFailure(502) from None

    def _send(self, event: h11.Event) -> None:
        data = self._protocol.send(event)
        if data:
            self._writer.write(data)

    async def _next_event(self) -> object:
        while True:
            event = self._protocol.next_event()
            if event is not h11.NEED_DATA:
                return event
            data = await asyncio.wait_for(self._reader.read(READ_BYTES), self._idle_timeout)
            self._protocol.receive_data(data)

    async def relay_body(self, send: Send, receive: Receive) -> None:
        """Pass the body on until it ends or the client goes; one that breaks off is left without its end."""
        gone = asyncio.ensure_future(_wait_for_disconnect(receive))
        try:
            while True:
                reading = asyncio.ensure_future(self._next_event())
                await asyncio.wait({reading, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    reading.cancel()
                    return
                event = reading.result()
                if isinstance(event, h11.Data):
                    await send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
                elif isinstance(event, h11.EndOfMessage):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    return
                else:
                    return
        except (OSError, TimeoutError, h11.ProtocolError):
            return
        finally:
            gone.cancel()
            await self.close()

    async def close(self) -> None:
        """Closes the connection, whatever state it is in."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
