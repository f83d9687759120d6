"""Requests at a constant rate, whatever the answers do: what a deploy loses is counted, and nothing waits for it.

Keep-alive connections are taken again as browsers and load balancers take them: a request that meets a closed one
before a byte of the answer is sent once more on a new one, as every HTTP client does with a GET.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from dataclasses import dataclass

TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    """One request: when it was due, how long it took, and what came."""

    due: float
    seconds: float
    status: int
    """0 where none came."""
    body: str


class Load:
    """Asks for `path` of `host` at `rate` requests a second for as long as the block lasts; each `slow`th is slow."""

    def __init__(self, port: int, host: str, rate: float, path: str = "/", *, slow: int = 0) -> None:
        self.port, self.host, self.rate, self.path, self.slow = port, host, rate, path, slow
        self.answers: list[Answer] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    def __enter__(self) -> Load:
        self.began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def failed(self) -> list[Answer]:
        """Those that were not answered with 200."""
        return [answer for answer in self.answers if answer.status != 200]

    def first(self, body: str) -> float:
        """Seconds from the beginning to the first answer with `body`."""
        return next(answer.due + answer.seconds for answer in self.answers if answer.body == body) - self.began

    def summary(self) -> str:
        """For a report."""
        statuses = dict(Counter(answer.status for answer in self.answers))
        slowest = max((answer.seconds for answer in self.answers), default=0)
        return f"{len(self.failed())} failed of {len(self.answers)}, {statuses}, slowest {slowest:.2f} s"

    async def _run(self) -> None:
        sent: set[asyncio.Task[None]] = set()
        number = 0
        while not self._ended.is_set():
            due = self.began + number / self.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            path = "/slow" if self.slow and number % self.slow == 0 else self.path
            task = asyncio.create_task(self._ask(due, path))
            sent.add(task)
            task.add_done_callback(sent.discard)
            number += 1
        await asyncio.gather(*sent)
        for _, writer in self._idle:
            writer.close()

    async def _ask(self, due: float, path: str) -> None:
        try:
            status, body = await asyncio.wait_for(self._exchange(path), TIMEOUT_SECONDS)
        except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError) as error:
            status, body = 0, repr(error)
        self.answers.append(Answer(due, time.monotonic() - due, status, body))

    async def _exchange(self, path: str) -> tuple[int, str]:
        while self._idle:
            reader, writer = self._idle.pop()
            try:
                return await self._on(reader, writer, path)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                writer.close()
                if getattr(error, "partial", b""):
                    raise
        return await self._on(*await asyncio.open_connection("127.0.0.1", self.port), path)

    async def _on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> tuple[int, str]:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        if "transfer-encoding: chunked" in head:
            body = b""
            while size := int(await reader.readline(), 16):
                body += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
        else:
            body = await reader.readexactly(int(head.partition("content-length: ")[2].split("\r\n")[0] or 0))
        if "connection: close" in head:
            writer.close()
        else:
            self._idle.append((reader, writer))
        return int(head.split()[1]), body.decode()
