"""Whatever Redis's client raises is Redis's failure, at one boundary: never an error of a request, never silence."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.core.cache import CacheKey, RedisResponseCache
from app.core.errors import StoreUnavailableError
from app.core.redis import RateLimit, RedisConnection, RedisRateCounter
from app.core.settings import Settings
from tests.app.conftest import KEY, Running, register
from tests.app.servers import Server, redis

RATE = RateLimit("w", 60, 1_000_000)
LOOPS: dict[str, Callable[[Coroutine[Any, Any, None]], None]] = {"asyncio": asyncio.run, "uvloop": uvloop.run}


class Proxy:
    """An address that leads to Redis, and does to connections what networks do."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._writers: list[asyncio.StreamWriter] = []
        self.holds = False

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers.append(writer)
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer), return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if not self.holds:
                    writer.write(data)
        finally:
            writer.close()

    def reset(self) -> None:
        """Break every connection with a RST, as a load balancer does with idle ones."""
        for writer in self._open():
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def finish(self) -> None:
        """End every connection in order, with a FIN."""
        for writer in self._open():
            writer.close()

    def _open(self) -> list[asyncio.StreamWriter]:
        self._writers = [writer for writer in self._writers if not writer.is_closing()]
        return self._writers


class Stores:
    """Counter and cache on one connection to a Redis behind a proxy.

    `timeout`: seconds. Long where a test is not of it, for a machine may stand still for half a second.
    """

    def __init__(self, proxy: Proxy, timeout: float = 30) -> None:
        values: dict[str, Any] = {"redis_url": f"redis://127.0.0.1:{proxy.port}/0", "redis_timeout": timeout}
        self.connection = RedisConnection(Settings(_env_file=None, secret_key=KEY, **values))
        self.counter, self.cache = RedisRateCounter(self.connection), RedisResponseCache(self.connection, 30)

    async def warm_up(self) -> None:
        """Open several connections, all idle afterwards."""
        await asyncio.gather(*(self.counter.count(RATE) for _ in range(10)))

    async def all_fail(self) -> None:
        """Every way to it says that it is away, and nothing else."""
        assert not (await self.counter.count(RATE)).shared
        key = CacheKey("group", "entry")
        questions: list[Callable[[], Awaitable[Any]]] = [
            lambda: self.cache.get(key),
            lambda: self.cache.claim(key),
            lambda: self.cache.invalidate("group"),
            self.connection.ping,
        ]
        for question in questions:
            with pytest.raises(StoreUnavailableError):
                await question()

    async def back_within_seconds(self) -> None:
        for _ in range(300):
            with suppress(StoreUnavailableError):
                await self.connection.ping()
                if (await self.counter.count(RATE)).shared:
                    return
            await asyncio.sleep(0.1)
        pytest.fail("Redis stays away")

    async def close(self) -> None:
        await self.cache.close()
        await self.connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with redis(tmp_path_factory.mktemp("redis")) as (running, _):
        yield running


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("fault", ["reset", "finish"])
def test_idle_connections_that_were_closed_are_replaced_at_once(server: Server, loop: str, fault: str) -> None:
    """Neither readiness nor a limit shows it: the next command is carried out on a new connection."""

    async def scenario() -> None:
        async with Proxy(server.port) as proxy:
            stores = Stores(proxy)
            for _ in range(3):
                await stores.warm_up()
                getattr(proxy, fault)()
                assert (await stores.counter.count(RATE)).shared
                getattr(proxy, fault)()
                await stores.connection.ping()
                getattr(proxy, fault)()
                await stores.cache.invalidate("group")
            assert stores.connection.away_until == 0
            await stores.close()

    LOOPS[loop](scenario())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_peer_that_is_silent_is_away_within_the_time_out(server: Server, loop: str) -> None:
    async def scenario() -> None:
        async with Proxy(server.port) as proxy:
            stores = Stores(proxy, timeout=0.5)
            await stores.warm_up()
            proxy.holds = True
            await stores.all_fail()
            proxy.holds = False
            await stores.back_within_seconds()
            await stores.close()

    LOOPS[loop](scenario())


@pytest.mark.parametrize("failure", ["read only", "out of memory"])
def test_a_server_that_refuses_writes_is_away_until_it_takes_them(server: Server, failure: str) -> None:
    async def scenario() -> None:
        async with Proxy(server.port) as proxy, Redis(port=server.port) as client:
            stores = Stores(proxy)
            await stores.warm_up()
            if failure == "read only":
                await client.replicaof("127.0.0.1", "1")
            else:
                await client.config_set("maxmemory", 1)
            try:
                assert not (await stores.counter.count(RATE)).shared
                with pytest.raises(StoreUnavailableError):
                    await stores.connection.ping()
                with pytest.raises(StoreUnavailableError):
                    await stores.cache.invalidate("group")
            finally:
                await client.replicaof("NO", "ONE")
                await client.config_set("maxmemory", 0)
            await stores.back_within_seconds()
            await stores.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("unable to perform operation on <TCPTransport closed=True reading=False>; the handler is closed"),
        AttributeError("'NoneType' object has no attribute 'write'"),
        OSError("broken"),
        RedisError("anything"),
        ValueError("nobody thought of this one"),
    ],
)
def test_the_kind_of_the_error_does_not_matter(
    server: Server, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with Proxy(server.port) as proxy:
            stores = Stores(proxy)

            async def fail(*_: Any, **__: Any) -> None:
                raise error

            with monkeypatch.context() as patch:
                patch.setattr(stores.connection.client.connection_pool, "get_connection", fail)
                await stores.all_fail()
            assert stores.cache._stale, "an invalidation does not end in silence: it is tried again"
            for _ in range(300):
                if stores.cache._stale:
                    await asyncio.sleep(0.1)
            assert stores.cache._stale == {}
            await stores.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_request_after_a_reset_is_answered_and_the_task_stays_ready(
    server: Server, loop: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with AsyncExitStack() as stack, Proxy(server.port) as proxy:
            values: dict[str, Any] = {
                "database_url": f"sqlite:///{tmp_path}/a.db",
                "redis_url": f"redis://127.0.0.1:{proxy.port}/0",
                "redis_timeout": 5,
            }
            base = Settings(_env_file=None, secret_key=KEY, log_level="critical", **values)
            user = await register(await Running(stack, base).client())
            item = await user.item()
            for _ in range(3):
                assert (await user.get(f"/items/{item['id']}")).status_code == 200
                proxy.reset()
                assert (await user.get(f"/items/{item['id']}")).status_code == 200
                proxy.reset()
                ready = await user.api.get("/readyz")
                assert ready.json()["dependencies"]["redis"]["status"] == "up"
                await asyncio.sleep(1.1)  # as long as readiness remembers

    LOOPS[loop](scenario())
