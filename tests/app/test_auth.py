"""Logins: what they tell a stranger, rotation, reuse, old hashes."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from typing import Any

import httpx2 as httpx
import jwt
import pytest
from pwdlib.hashers.bcrypt import BcryptHasher
from sqlalchemy import select, update

from app.core.security import passwords as hashing
from app.core.security.passwords import Passwords
from app.core.security.tokens import TokenClaims, Tokens
from app.models import User as Row
from tests.app.conftest import KEY, PASSWORD, PRODUCTIONS_ARGON2, Running, User, login, register


async def refresh(api: httpx.AsyncClient, token: str) -> httpx.Response:
    return await api.post("/api/v1/auth/refresh", json={"refresh_token": token})


async def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(api: httpx.AsyncClient, user: User) -> None:
    wrong = await login(api, user.email, "not the password")
    unknown = await login(api, "nobody@example.com")
    assert wrong.status_code == unknown.status_code == 401
    bodies = [{k: v for k, v in answer.json().items() if k != "request_id"} for answer in (wrong, unknown)]
    assert bodies[0] == bodies[1]


async def test_an_unknown_address_costs_a_hash_as_a_known_one_does() -> None:
    passwords = Passwords()
    hashed: list[str] = []
    verify = passwords._verify
    passwords._verify = lambda password, against: hashed.append(against) or verify(password, against)  # type: ignore[method-assign,func-returns-value]
    assert await passwords.verify("anything", None) == (False, None)
    assert len(hashed) == 1
    passwords.close()


async def test_a_hash_costs_what_owasp_asks_for_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "ARGON2", PRODUCTIONS_ARGON2)
    passwords = Passwords()
    assert (await passwords.hash(PASSWORD)).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    passwords.close()


@pytest.mark.parametrize("work", ["hash", "verify"])
async def test_a_login_does_not_stall_other_requests(work: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop ends the hash, which runs in a thread. On the loop itself it would wait until its time-out."""
    passwords, may_end = Passwords(), threading.Event()
    monkeypatch.setattr(passwords._hasher, "hash", lambda _: may_end.wait(10))
    monkeypatch.setattr(passwords._hasher, "verify_and_update", lambda *_: (may_end.wait(10), None))
    begun = passwords.hash(PASSWORD) if work == "hash" else passwords.verify(PASSWORD, "a hash")
    asyncio.get_running_loop().call_later(0.01, may_end.set)
    assert await begun == {"hash": True, "verify": (True, None)}[work]
    passwords.close()


async def test_a_bcrypt_hash_is_accepted_and_replaced(running: Running) -> None:
    app = await running.app()
    user = await register(await running.client(app))
    old = BcryptHasher(rounds=4).hash(PASSWORD)
    async with app.state.resources.database.unit() as unit:
        await unit.session.execute(update(Row).where(Row.id == uuid.UUID(user.id)).values(password_hash=old))
    assert (await login(user.api, user.email)).status_code == 200
    async with app.state.resources.database.unit() as unit:
        new = await unit.session.scalar(select(Row.password_hash).where(Row.id == uuid.UUID(user.id)))
    assert new.startswith("$argon2id$")


@pytest.mark.parametrize(
    "claims",
    [{"exp": 1}, {"sub": "nobody"}, {"ver": "x"}, {"ver": 99}],
)
async def test_a_token_that_is_expired_or_made_up_opens_nothing(user: User, claims: dict[str, Any]) -> None:
    good = jwt.decode(user.tokens["access_token"], KEY, ["HS256"])
    user.tokens["access_token"] = jwt.encode(good | claims, KEY, "HS256")
    answer = await user.get("/users/me")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_token_signed_by_somebody_else_or_by_nobody_opens_nothing(user: User) -> None:
    good = jwt.decode(user.tokens["access_token"], KEY, ["HS256"])
    for key, algorithm in (("x" * 40, "HS256"), ("", "none")):
        user.tokens["access_token"] = jwt.encode(good, key, algorithm)
        assert (await user.get("/users/me")).status_code == 401


def test_the_former_key_still_verifies_and_no_longer_signs() -> None:
    former, today = KEY[::-1], KEY
    caller = TokenClaims(uuid.uuid4(), 1, is_admin=False)
    before = Tokens(former, 60).issue(caller)
    rotated = Tokens(today, 60, former)
    assert rotated.read(before) == caller
    assert Tokens(today, 60).read(before) is None
    assert Tokens(today, 60).read(rotated.issue(caller)) == caller
    assert Tokens(former, 60).read(rotated.issue(caller)) is None
    assert rotated.read(Tokens(former, -1).issue(caller)) is None
    assert rotated.read(Tokens("somebody-else-0123456789-abcdefghijk", 60).issue(caller)) is None


async def test_a_claim_to_be_an_admin_is_checked_in_the_database(user: User) -> None:
    good = jwt.decode(user.tokens["access_token"], KEY, ["HS256"])
    user.tokens["access_token"] = jwt.encode(good | {"adm": True}, KEY, "HS256")
    assert (await user.get("/users/all")).status_code == 403
    assert (await user.get("/items/")).json() == []


async def test_refresh_rotates(api: httpx.AsyncClient, user: User) -> None:
    first = user.tokens["refresh_token"]
    second = (await refresh(api, first)).json()
    assert second["refresh_token"] != first
    user.tokens = second
    assert (await user.get("/users/me")).status_code == 200


async def test_a_refresh_token_used_twice_ends_the_whole_login(api: httpx.AsyncClient, user: User) -> None:
    second = (await refresh(api, user.tokens["refresh_token"])).json()
    assert (await refresh(api, user.tokens["refresh_token"])).status_code == 401
    assert (await refresh(api, second["refresh_token"])).status_code == 401
    assert (await login(api, user.email)).status_code == 200


async def test_of_two_refreshes_at_once_one_succeeds_at_most(api: httpx.AsyncClient, user: User) -> None:
    answers = await asyncio.gather(*(refresh(api, user.tokens["refresh_token"]) for _ in range(8)))
    assert sum(answer.status_code == 200 for answer in answers) <= 1
    assert {answer.status_code for answer in answers} <= {200, 401}


async def test_logout_ends_the_login(api: httpx.AsyncClient, user: User) -> None:
    body = {"refresh_token": user.tokens["refresh_token"]}
    assert (await api.post("/api/v1/auth/logout", json=body)).status_code == 204
    assert (await refresh(api, body["refresh_token"])).status_code == 401
    assert (await api.post("/api/v1/auth/logout", json=body)).status_code == 204


async def test_a_deactivated_account_cannot_refresh(running: Running) -> None:
    app = await running.app()
    user = await register(await running.client(app))
    async with app.state.resources.database.unit() as unit:
        await unit.session.execute(update(Row).where(Row.id == uuid.UUID(user.id)).values(is_active=False))
    assert (await refresh(user.api, user.tokens["refresh_token"])).status_code == 401


async def test_a_password_that_bcrypt_cannot_take_is_wrong_and_no_error(running: Running) -> None:
    app = await running.app()
    user = await register(await running.client(app))
    async with app.state.resources.database.unit() as unit:
        hashed = BcryptHasher(rounds=4).hash("short")
        await unit.session.execute(update(Row).where(Row.id == uuid.UUID(user.id)).values(password_hash=hashed))
    assert (await login(user.api, user.email, "x" * 100)).status_code == 401


def test_a_token_of_a_container_whose_clock_is_ahead_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    claims = TokenClaims(uuid.uuid4(), 1, is_admin=False)
    now = time.time()
    issued = {}
    for ahead in (3, 60):
        with monkeypatch.context() as patch:
            patch.setattr("app.core.security.tokens.time.time", lambda ahead=ahead: now + ahead)
            issued[ahead] = Tokens(KEY, 900).issue(claims)
    tokens = Tokens(KEY, 900)
    assert tokens.read(issued[3]) == claims
    assert tokens.read(issued[60]) is None


def test_leeway_does_not_prolong_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    claims = TokenClaims(uuid.uuid4(), 1, is_admin=False)
    tokens = Tokens(KEY, 10)
    token, now = tokens.issue(claims), time.time()
    monkeypatch.setattr("app.core.security.tokens.time.time", lambda: now + 11)
    assert tokens.read(token) is None
    assert Tokens(KEY, 10).read(token) is None
