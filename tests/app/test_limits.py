"""Rate limits: they hold at any concurrency and without Redis, each kind by itself, and Retry-After is kept."""

from __future__ import annotations

import asyncio
import time
import uuid
from types import SimpleNamespace
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI

from app.api.deps import client_address
from app.core.redis import MemoryRateCounter, RateLimit, sliding_window
from app.core.security.passwords import Passwords
from tests.app.conftest import PASSWORD, Running, User, login, register


@pytest.fixture(autouse=True)
def _stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a window: as time goes on there is room for more, and a busy machine takes its time."""
    moment = time.time() // 60 * 60 + 30
    monkeypatch.setattr("app.core.redis.time", SimpleNamespace(time=lambda: moment, monotonic=time.monotonic))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that cost nothing: limits are what is looked at."""

    async def verify(*_: Any) -> tuple[bool, None]:
        return False, None

    monkeypatch.setattr(Passwords, "verify", verify)


async def limited(running: Running, **limits: Any) -> httpx.AsyncClient:
    return await running.client(redis_key_prefix=uuid.uuid4().hex, **limits)


def refused(answers: list[httpx.Response]) -> int:
    return sum(answer.status_code == 429 for answer in answers)


async def test_of_500_logins_at_once_as_many_are_let_in_as_the_limit_says(running: Running, quick: None) -> None:
    api = await limited(running, login_rate_limit_per_minute=10)
    answers = await asyncio.gather(*(login(api, f"{n}@example.com", "wrong") for n in range(500)))
    assert refused(answers) == 490
    assert {answer.status_code for answer in answers} == {401, 429}


async def test_a_login_has_a_limit_while_redis_is_away(running: Running, quick: None) -> None:
    api = await limited(running, login_rate_limit_per_minute=10, redis_url="redis://127.0.0.1:1/0")
    answers = await asyncio.gather(*(login(api, "a@example.com", "wrong") for _ in range(100)))
    assert refused(answers) == 90


async def test_two_processes_share_one_limit(running: Running, quick: None) -> None:
    if not running.base.on_redis:
        pytest.skip("without Redis each process has its own")
    prefix = uuid.uuid4().hex
    apis = [await running.client(login_rate_limit_per_minute=10, redis_key_prefix=prefix) for _ in range(2)]
    answers = await asyncio.gather(*(login(apis[n % 2], "a@example.com", "wrong") for n in range(60)))
    assert refused(answers) == 50


async def test_many_requests_at_once_do_not_pass_for_a_redis_that_is_away(running: Running) -> None:
    if not running.base.on_redis:
        pytest.skip("there is no Redis")
    app = await running.app(redis_key_prefix=uuid.uuid4().hex)
    resources = app.state.resources
    await asyncio.gather(*(resources.rate_counter.count(RateLimit("crowd", 60, 1000)) for _ in range(600)))
    assert resources.redis.away_until == 0


async def test_refresh_and_logout_do_not_use_up_the_limit_of_logins(running: Running) -> None:
    api = await limited(running, login_rate_limit_per_minute=2)
    for path in ("refresh", "logout"):
        for _ in range(5):
            answer = await api.post(f"/api/v1/auth/{path}", json={"refresh_token": "unknown"})
            assert answer.status_code != 429
    assert (await login(api, "a@example.com")).status_code == 401


async def test_registrations_of_an_address_have_a_limit(running: Running) -> None:
    api = await limited(running, login_rate_limit_per_minute=2)
    codes = []
    for _ in range(3):
        body = {"email": f"{uuid.uuid4().hex}@example.com", "display_name": "Ada", "password": PASSWORD}
        codes.append((await api.post("/api/v1/users/", json=body)).status_code)
    assert codes == [201, 201, 429]


async def test_guesses_of_the_current_password_have_a_limit_of_their_own(running: Running, quick: None) -> None:
    app = await running.app()
    user = await register(await running.client(app))
    user.tokens["access_token"] = token(app, user)
    user.api = await limited(running, login_rate_limit_per_minute=3)
    body = {"current_password": "a guess", "new_password": "another long password"}
    codes = [(await user.request("POST", "/users/me/password", json=body)).status_code for _ in range(5)]
    assert codes == [403, 403, 403, 429, 429]
    assert (await user.get("/users/me")).status_code == 200


def token(app: FastAPI, user: User) -> str:
    from app.core.security.tokens import TokenClaims

    issued: str = app.state.resources.tokens.issue(TokenClaims(uuid.UUID(user.id), 1, is_admin=False))
    return issued


@pytest.mark.parametrize("previous", [0, 1, 7, 10])
@pytest.mark.parametrize("current", [0, 3, 9, 10])
@pytest.mark.parametrize("passed", [0.0, 12.5, 59.9])
def test_there_is_room_when_retry_after_is_over_and_not_much_before(previous: int, current: int, passed: float) -> None:
    rate = RateLimit("w", 60, 10)
    result = sliding_window(rate, previous, current, 600 + passed)
    if result.allowed:
        return

    def later(seconds: float) -> bool:
        now = passed + seconds
        if now < 60:
            return sliding_window(rate, previous, current, now).allowed
        return sliding_window(rate, current if now < 120 else 0, 0, now).allowed

    assert later(result.reset_seconds)
    assert not later(result.reset_seconds - 1.001)


async def test_who_was_refused_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 600.0
    monkeypatch.setattr("app.core.redis.time.time", lambda: now)
    counter, rate = MemoryRateCounter(), RateLimit("w", 60, 3)
    results = [await counter.count(rate) for _ in range(100)]
    assert sum(result.allowed for result in results) == 3
    now += results[-1].reset_seconds
    assert (await counter.count(rate)).allowed


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
    ],
)
def test_an_ipv6_customer_is_one_address(host: str, counted: str) -> None:
    from starlette.requests import Request

    assert client_address(Request({"type": "http", "client": (host, 1), "headers": []})) == counted


@pytest.mark.parametrize(
    ("forwarded_for", "counted"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7", "198.51.100.7"),  # the visitor named another address
        ("10.20.0.5, 198.51.100.7", "198.51.100.7"),  # or one that the app trusts
    ],
)
async def test_the_address_that_counts_is_the_last_one_which_no_visitor_writes(
    forwarded_for: str, counted: str
) -> None:
    """The load balancer appends it; behind CloudFront, CloudFront does, and the load balancer leaves the header."""
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    seen: list[tuple[str, str]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((client_address(Request(scope)), scope["scheme"]))

    scope: Any = {
        "type": "http",
        "scheme": "http",
        "client": ("10.20.0.77", 4711),
        "headers": [(b"x-forwarded-for", forwarded_for.encode()), (b"x-forwarded-proto", b"https")],
    }
    receive: Any = None
    send: Any = None
    await ProxyHeadersMiddleware(app, trusted_hosts="10.20.0.0/24,10.20.1.0/24")(scope, receive, send)
    assert seen == [(counted, "https")]
