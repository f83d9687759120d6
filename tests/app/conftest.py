"""The app under test, on each of its two footings: the embedded default, and Postgres with Redis."""

from __future__ import annotations

import asyncio
import shutil
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import httpx2 as httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pwdlib.hashers.argon2 import Argon2Hasher

from app.core.security import passwords as hashing
from app.core.settings import Settings
from app.main import create_app
from app.migrate import upgrade
from tests.app.servers import Server, postgres, redis

KEY = "tests-only-0123456789-abcdefghijklmnopqrstuvwxyz"
PRODUCTIONS_ARGON2 = hashing.ARGON2
PASSWORD = "correct horse battery"  # noqa: S105 - of accounts that the tests make


def copy_of_the_app(folder: Path) -> None:
    """Its sources below `folder`: not its packages, which are hundreds of megabytes."""
    left_out = shutil.ignore_patterns("__pycache__", ".venv", ".data")
    shutil.copytree(Path(__file__).parents[2] / "app", folder / "app", ignore=left_out)


def pytest_configure() -> None:
    """A run that is told to end stops its servers, as one that is interrupted does."""
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", returncode=143))


@pytest.fixture(scope="session", autouse=True)
def quick_hashes() -> Iterator[None]:
    """Of the same kind and made in the same way, for less than 1 ms of a core: most tests make an account and log in.
    What is started as a process of its own hashes as in production, and so do the tests of the cost itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "ARGON2", Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1))
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[tuple[Server, str]]:
    with postgres() as running:
        yield running


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    with redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


async def new_database(owner_url: str) -> str:
    """A fresh database of the server."""
    name = f"t{uuid.uuid4().hex}"
    while True:
        try:
            connection = await asyncpg.connect(owner_url)
            break
        except asyncpg.CannotConnectNowError:  # it listens already, and is still starting
            await asyncio.sleep(0.1)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return owner_url.rsplit("/", 1)[0] + f"/{name}"


@pytest.fixture(scope="session", params=["embedded", "servers"])
async def base_settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of one footing. One database serves all tests of it: each makes accounts of its own."""
    common: dict[str, Any] = {
        "_env_file": None,
        "secret_key": KEY,
        "rate_limit_per_minute": 100_000,
        "login_rate_limit_per_minute": 100_000,
        "cors_origins": "https://app.example.com",
        "log_level": "warning",
        "max_in_flight": 10_000,  # the limit has a test of its own
        "redis_timeout": 10,  # on a busy machine a slow Redis must not pass for an absent one; test_faults kills it
        "database_pool_timeout": 60,  # and a slow statement not for a stuck one
        "database_connect_timeout": 60,
        "database_statement_timeout": 60,
        "database_lock_timeout": 60,
    }
    if request.param == "embedded":
        path = tmp_path_factory.mktemp("sqlite") / "app.db"
        return Settings(database_url=f"sqlite:///{path}", **common)
    _, owner_url = request.getfixturevalue("postgres_server")
    _, redis_url = request.getfixturevalue("redis_server")
    settings = Settings(
        database_url=await new_database(owner_url), redis_url=redis_url, redis_key_prefix=uuid.uuid4().hex, **common
    )
    await asyncio.to_thread(upgrade, settings)
    return settings


class Running:
    """Apps with their lifespan running, and clients of them."""

    def __init__(self, stack: AsyncExitStack, base: Settings) -> None:
        self._stack, self.base = stack, base

    async def app(self, **changes: Any) -> FastAPI:
        values = {name: getattr(self.base, name) for name in self.base.model_fields_set} | changes
        app = create_app(Settings(_env_file=None, **values))  # type: ignore[call-arg]  # pydantic-settings' own
        await self._stack.enter_async_context(app.router.lifespan_context(app))
        return app

    async def client(self, app: FastAPI | None = None, **changes: Any) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=app or await self.app(**changes), raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://testserver")
        return await self._stack.enter_async_context(client)


@pytest.fixture
async def running(base_settings: Settings) -> AsyncIterator[Running]:
    """For tests that need settings of their own."""
    async with AsyncExitStack() as stack:
        yield Running(stack, base_settings)


@pytest.fixture(scope="session")
async def shared(base_settings: Settings) -> AsyncIterator[FastAPI]:
    """For tests that take the settings as they are: a new app has to compile its statements and to connect again."""
    async with AsyncExitStack() as stack:
        yield await Running(stack, base_settings).app()


@pytest.fixture
async def api(running: Running, shared: FastAPI) -> httpx.AsyncClient:
    """A client without an account."""
    return await running.client(shared)


class User:
    """An account, and requests in its name."""

    def __init__(self, api: httpx.AsyncClient, id: str, email: str, tokens: dict[str, Any]) -> None:
        self.api, self.id, self.email, self.tokens = api, id, email, tokens

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.tokens['access_token']}"} | options.pop("headers", {})
        return await self.api.request(method, f"/api/v1{path}", headers=headers, **options)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.request("GET", path, **options)

    async def item(self, title: str = "Lighthouse", **fields: Any) -> dict[str, Any]:
        answer = await self.request("POST", "/items/", json={"title": title, **fields})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


async def login(api: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    return await api.post("/api/v1/auth/token", data={"username": email, "password": password})


async def register(api: httpx.AsyncClient, name: str = "Ada") -> User:
    email = f"{uuid.uuid4().hex}@example.com"
    made = await api.post("/api/v1/users/", json={"email": email, "display_name": name, "password": PASSWORD})
    assert made.status_code == 201, made.text
    return User(api, made.json()["id"], email, (await login(api, email)).json())


async def make_admin(app: FastAPI, user: User) -> None:
    from sqlalchemy import update

    from app.models import User as Row

    async with app.state.resources.database.unit() as unit:
        await unit.session.execute(update(Row).where(Row.id == uuid.UUID(user.id)).values(is_admin=True))
    user.tokens = (await login(user.api, user.email)).json()


@pytest.fixture
async def user(api: httpx.AsyncClient) -> User:
    return await register(api)


@pytest.fixture
async def other(api: httpx.AsyncClient) -> User:
    return await register(api, "Grace")


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The guide's client: synchronous, on the embedded default."""
    path: Path = tmp_path_factory.mktemp("guide") / "app.db"
    settings = Settings(_env_file=None, database_url=f"sqlite:///{path}", secret_key=KEY)  # type: ignore[call-arg]
    with TestClient(create_app(settings)) as client:
        yield client
