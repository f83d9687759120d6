"""Redis and Postgres killed under load; a stampede; the loop never blocked."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from app.core.cache import CacheKey, Lease, MemoryResponseCache, ResponseCache
from app.core.settings import Settings
from app.migrate import upgrade
from tests.app.conftest import KEY, Running, User, new_database, register
from tests.app.servers import Server, postgres, redis


class World:
    """An app on a Postgres and a Redis of its own, which may be killed."""

    def __init__(self, database: Server, cache: Server, settings: Settings) -> None:
        self.database, self.cache, self.settings = database, cache, settings


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder: Path = tmp_path_factory.mktemp("faults")
    with postgres() as (database, owner_url), redis(folder) as (cache, redis_url):
        settings = Settings(
            _env_file=None,
            secret_key=KEY,  # type: ignore[arg-type]
            database_url=await new_database(owner_url),  # type: ignore[arg-type]
            redis_url=redis_url,  # type: ignore[arg-type]
            rate_limit_per_minute=1_000_000,
            login_rate_limit_per_minute=1_000_000,
            database_connect_timeout=1,
            log_level="critical",
        )
        await asyncio.to_thread(upgrade, settings)
        yield World(database, cache, settings)


@pytest.fixture
async def user(world: World) -> AsyncIterator[User]:
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as stack:
        yield await register(await Running(stack, world.settings).client())


class Load:
    """Reads one after the other, in several lines at once."""

    def __init__(self, user: User, path: str) -> None:
        self.user, self.path, self.codes = user, path, list[int]()

    async def __aenter__(self) -> Load:
        self._ended = asyncio.Event()
        self._tasks = [asyncio.create_task(self._run()) for _ in range(4)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended.set()
        await asyncio.gather(*self._tasks)

    async def _run(self) -> None:
        while not self._ended.is_set():
            self.codes.append((await self.user.get(self.path)).status_code)
            await asyncio.sleep(0.005)


async def test_redis_killed_under_load_is_slower_and_never_an_error(world: World, user: User) -> None:
    item = await user.item()
    path = f"/items/{item['id']}"
    async with Load(user, path) as load:
        await asyncio.sleep(0.3)
        world.cache.kill()
        await asyncio.sleep(0.5)
        changed = await user.request("PATCH", path, json={"title": "While it was away"})
        assert changed.status_code == 200
        await asyncio.sleep(0.5)
        world.cache.start()
        await asyncio.sleep(1.5)
    assert set(load.codes) == {200}
    assert (await user.get(path)).json()["title"] == "While it was away"


async def test_a_change_made_while_redis_hung_is_not_hidden_by_an_old_entry(world: World, user: User) -> None:
    """Paused, not killed: its entries survive."""
    import signal

    item = await user.item("Old")
    path = f"/items/{item['id']}"
    assert (await user.get(path)).json()["title"] == "Old"
    world.cache.process.send_signal(signal.SIGSTOP)
    try:
        assert (await user.request("PATCH", path, json={"title": "New"})).status_code == 200
        assert (await user.get(path)).json()["title"] == "New"
    finally:
        world.cache.process.send_signal(signal.SIGCONT)
    await asyncio.sleep(1.2)  # Redis is left alone for a second after a failure
    assert (await user.get(path)).json()["title"] == "New"


async def test_postgres_killed_and_back(world: World, user: User) -> None:
    item = await user.item()
    world.database.kill()
    try:
        answer = await user.get("/items/?limit=7")
        assert answer.status_code == 503, answer.text
        assert answer.headers["retry-after"] == "1"
        ready = await user.api.get("/readyz")
        assert ready.json()["dependencies"]["database"]["status"] == "down"
        assert (await user.api.get("/livez")).status_code == 200
    finally:
        world.database.start()
    for _ in range(50):
        if (await user.get("/items/?limit=8")).status_code == 200:
            break
        await asyncio.sleep(0.1)
    assert [found["id"] for found in (await user.get("/items/?limit=8")).json()] == [item["id"]]


async def test_readiness_waits_for_the_first_contact_with_the_database(tmp_path: Path) -> None:
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as stack:
        base = Settings(
            _env_file=None,
            secret_key=KEY,  # type: ignore[arg-type]
            database_url="postgresql://nobody@127.0.0.1:1/none",  # type: ignore[arg-type]
            log_level="critical",
        )
        api = await Running(stack, base).client()
        assert (await api.get("/readyz")).status_code == 503


async def test_a_stampede_asks_the_database_once(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    app = await running.app()
    user = await register(await running.client(app))
    item = await user.item()
    asked: list[Any] = []
    reader = app.state.resources.database.reader
    rows = reader.rows

    async def noting(statement: Any, values: Any = None) -> Any:
        asked.append(statement)
        return await rows(statement, values)

    monkeypatch.setattr(reader, "rows", noting)
    answers = await asyncio.gather(*(user.get(f"/items/{item['id']}") for _ in range(30)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(asked) == 2, "the account and the item, by one of the thirty"


async def test_an_answer_that_was_computed_before_a_change_is_not_kept(running: Running) -> None:
    cache: ResponseCache = (await running.app()).state.resources.response_cache
    key = CacheKey("user:race", "entry")
    lease = await cache.claim(key)
    assert isinstance(lease, Lease)
    await cache.invalidate("user:race")
    await cache.fill(key, lease, b"old")
    assert not isinstance(await cache.claim(key), bytes)


async def test_a_cache_in_memory_does_not_grow_without_end() -> None:
    cache = MemoryResponseCache(30)
    cache.MAX_GROUPS = 10
    for number in range(50):
        await cache.invalidate(str(number))
    assert len(cache._generations) == 10


async def test_nothing_blocks_the_loop(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any step of the loop that computes for longer than a statement does: by the thread's own processor time, which a
    busy machine does not stretch."""
    slow: list[str] = []
    step = asyncio.Handle._run

    def watched(handle: asyncio.Handle) -> None:
        before = time.thread_time()
        step(handle)
        if time.thread_time() - before > 0.1:
            slow.append(repr(handle))

    api: httpx.AsyncClient = await running.client()
    gc.collect()
    gc.freeze()  # as gunicorn.conf.py does: a full collection over all that pytest has loaded is not the app's doing
    monkeypatch.setattr(asyncio.Handle, "_run", watched)
    try:
        user = await register(api)
        item = await user.item()
        for path in (f"/items/{item['id']}", "/items/", "/users/me"):
            assert (await user.get(path)).status_code == 200
        location = (await user.request("POST", "/items/exports")).headers["location"]
        await asyncio.sleep(0.2)
        assert (await user.get(location.split("/api/v1", 1)[1])).status_code == 200
    finally:
        gc.unfreeze()
    assert slow == []
