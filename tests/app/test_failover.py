"""Redis fails over, or is reached by one process and not by another: back within seconds, and nothing old is served."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from app.core.errors import StoreUnavailableError
from app.core.redis import RateLimit, RedisConnection, RedisRateCounter, connect
from app.core.settings import Settings
from tests.app.conftest import KEY, PASSWORD, Running, User, login, register
from tests.app.servers import redis


class Switch:
    """One address that leads to one of two servers: open connections stay with the one that they were made to."""

    def __init__(self, port: int) -> None:
        self.target = port

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def switch(port: int) -> AsyncIterator[tuple[Switch, int]]:
    """A switch, and the port that it listens on."""
    found = Switch(port)
    server = await asyncio.start_server(found.connect, "127.0.0.1", 0)
    try:
        yield found, server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_after_a_failover_limits_and_cache_are_back_within_seconds(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("old", "new")]
    for folder in folders:
        folder.mkdir()
    with redis(folders[0]) as (old, old_url), redis(folders[1]) as (new, _):
        async with switch(old.port) as (address, port):
            values: dict[str, Any] = {"redis_url": f"redis://127.0.0.1:{port}/0", "redis_timeout": 30}
            connection = RedisConnection(Settings(_env_file=None, secret_key=KEY, **values))
            counter, rate = RedisRateCounter(connection), RateLimit("w", 60, 1_000_000)
            await asyncio.gather(*(counter.count(rate) for _ in range(20)))  # several open connections
            async with Redis.from_url(old_url) as client:
                await client.replicaof("127.0.0.1", str(new.port))
            assert not (await counter.count(rate)).shared
            with pytest.raises(StoreUnavailableError):  # what /readyz asks
                await connection.ping()
            address.target = new.port
            for _ in range(300):
                if (await counter.count(rate)).shared:
                    break
                await asyncio.sleep(0.1)
            else:
                pytest.fail("it stays away")
            await connection.ping()
            await connection.close()


class Process:
    """One of two processes on the same database and Redis."""

    def __init__(self, app: Any, api: Any) -> None:
        self.app, self.api = app, api
        self.redis: Any = app.state.resources.redis
        self.cache: Any = app.state.resources.response_cache

    def of(self, user: User) -> User:
        """The same account, through this process."""
        return User(self.api, user.id, user.email, dict(user.tokens))


@pytest.fixture
async def pair(running: Running) -> tuple[Process, Process]:
    if not running.base.on_redis:
        pytest.skip("without Redis nothing is shared")
    prefix = uuid.uuid4().hex
    made = []
    for _ in range(2):
        app = await running.app(redis_key_prefix=prefix, cache_ttl=3)
        made.append(Process(app, await running.client(app)))
    return made[0], made[1]


async def change_password(user: User) -> None:
    body = {"current_password": PASSWORD, "new_password": "another long password"}
    assert (await user.request("POST", "/users/me/password", json=body)).status_code == 204


async def test_an_old_token_opens_nothing_although_redis_was_away_a_moment_ago(pair: tuple[Process, Process]) -> None:
    changing, reading = pair
    user = await register(changing.api)
    reader = reading.of(user)
    assert (await reader.get("/items/")).status_code == 200
    changing.redis.away_until = time.monotonic() + 60
    await change_password(user)
    assert (await reader.get("/items/")).status_code == 401


async def test_what_did_not_reach_redis_is_made_up_for_without_another_request(pair: tuple[Process, Process]) -> None:
    changing, reading = pair
    changing.cache.max_age = 60
    user = await register(changing.api)
    reader = reading.of(user)
    assert (await reader.get("/items/")).status_code == 200
    good = changing.redis.client
    changing.redis.client = connect(Settings(_env_file=None, redis_url="redis://127.0.0.1:1/0"))  # type: ignore[call-arg,arg-type]
    await change_password(user)
    changing.redis.client = good
    assert changing.cache._stale
    for _ in range(300):
        if not changing.cache._stale:
            break
        await asyncio.sleep(0.1)
    assert changing.cache._stale == {}, "it was not tried again"
    assert (await reader.get("/items/")).status_code == 401


async def test_what_cannot_be_invalidated_is_served_for_cache_ttl_at_most(pair: tuple[Process, Process]) -> None:
    changing, reading = pair
    user = await register(changing.api)
    reader = reading.of(user)
    assert (await reader.get("/items/")).status_code == 200
    cut_off = connect(Settings(_env_file=None, redis_url="redis://127.0.0.1:1/0"))  # type: ignore[call-arg,arg-type]
    changing.redis.client = cut_off
    await change_password(user)
    await asyncio.sleep(1)
    await reader.get("/items/?limit=7")  # a second answer of the group does not prolong the first one's life
    await asyncio.sleep(2.2)
    assert (await reader.get("/items/")).status_code == 401
    await asyncio.sleep(1.5)
    assert changing.cache._stale == {}, "nothing old is left to invalidate"
    assert (await login(reading.api, user.email, "another long password")).status_code == 200
