"""What happens between two requests: no login outlives a change of the password, and there is always one admin."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2 as httpx
import pytest
from sqlalchemy import func, select, update

from app.api.deps import CurrentUser
from app.core.security.passwords import Passwords
from app.models import User as Row
from app.services import auth
from tests.app.conftest import PASSWORD, Running, User, login, make_admin, register

NEW = "another long password"


async def change_password(user: User) -> httpx.Response:
    body = {"current_password": PASSWORD, "new_password": NEW}
    return await user.request("POST", "/users/me/password", json=body)


async def refreshed(user: User, token: str | None = None) -> httpx.Response:
    body = {"refresh_token": token or user.tokens["refresh_token"]}
    return await user.api.post("/api/v1/auth/refresh", json=body)


class Pause:
    """Holds the first call of a function at its beginning, or every one, until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, every: bool = False) -> None:
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()
        original: Callable[..., Awaitable[Any]] = getattr(owner, name)

        async def paused(*args: Any, **kwargs: Any) -> Any:
            if every or not self.reached.is_set():
                self.reached.set()
                await self.go_on.wait()
            return await original(*args, **kwargs)

        monkeypatch.setattr(owner, name, paused)


async def while_paused(pause: Pause, first: Awaitable[httpx.Response], second: Awaitable[httpx.Response]) -> Any:
    """`first` as far as the pause, then `second` as far as it gets in a moment, then both to their ends."""
    running = asyncio.ensure_future(first)
    await asyncio.wait_for(pause.reached.wait(), 60)
    other = asyncio.ensure_future(second)
    await asyncio.wait([other], timeout=0.3)
    pause.go_on.set()
    return await running, await other


async def nothing_opens(user: User, answer: httpx.Response) -> None:
    """Neither token of an answer is good for anything."""
    if answer.status_code == 200:
        user.tokens = answer.json()
        assert (await user.get("/users/me")).status_code == 401
        assert (await refreshed(user)).status_code == 401


async def test_a_refresh_under_way_does_not_outlive_a_change_of_the_password(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = Pause(monkeypatch, auth.token_crud, "by_hash")  # the account is locked by then
    answer, changed = await while_paused(pause, refreshed(user), change_password(user))
    assert changed.status_code == 204
    await nothing_opens(user, answer)


async def test_a_refresh_that_waited_for_a_change_of_the_password_is_refused(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = Pause(monkeypatch, auth.user_crud, "lock")  # of a token that is still there
    answer, changed = await while_paused(pause, refreshed(user), change_password(user))
    assert changed.status_code == 204
    await nothing_opens(user, answer)


async def test_a_login_with_the_old_password_ends_with_it(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    pause = Pause(monkeypatch, auth.user_crud, "lock")  # the old password has been found right
    answer, changed = await while_paused(pause, login(user.api, user.email), change_password(user))
    assert changed.status_code == 204
    await nothing_opens(user, answer)
    assert (await login(user.api, user.email, NEW)).status_code == 200


async def test_a_logout_ends_a_refresh_that_is_under_way(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    pause = Pause(monkeypatch, auth.token_crud, "by_hash")
    ending = user.api.post("/api/v1/auth/logout", json={"refresh_token": user.tokens["refresh_token"]})
    answer, ended = await while_paused(pause, refreshed(user), ending)
    assert ended.status_code == 204
    assert (await refreshed(user, answer.json()["refresh_token"])).status_code == 401


async def test_of_two_changes_of_the_password_at_once_one_succeeds(user: User) -> None:
    answers = await asyncio.gather(*(change_password(user) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [204, 401, 401, 401]


async def test_the_dependency_of_a_new_endpoint_knows_of_a_change_of_the_password(running: Running) -> None:
    app = await running.app()

    @app.get("/api/v1/mine")
    async def mine(user: CurrentUser) -> str:
        return user.email

    user = await register(await running.client(app))
    assert (await user.get("/mine")).json() == user.email
    assert (await change_password(user)).status_code == 204
    assert (await user.get("/mine")).status_code == 401


async def test_hashes_that_wait_for_one_another_hold_no_connection(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await running.app(database_pool_size=1, database_pool_timeout=5, cache_ttl=0)
    api = await running.client(app)
    user = await register(api)
    pauses = [Pause(monkeypatch, Passwords, name, every=True) for name in ("verify", "hash")]
    body = {"email": f"{uuid.uuid4().hex}@example.com", "display_name": "New", "password": PASSWORD}
    waiting = [
        asyncio.ensure_future(request)
        for request in (login(api, user.email), change_password(user), api.post("/api/v1/users/", json=body))
    ]
    for pause in pauses:
        await asyncio.wait_for(pause.reached.wait(), 60)
    await asyncio.sleep(0.1)
    assert [(await user.get("/items/")).status_code for _ in range(3)] == [200] * 3
    for pause in pauses:
        pause.go_on.set()
    codes = [answer.status_code for answer in await asyncio.gather(*waiting)]
    assert codes[0] in (200, 401), "it ended before the password was changed, or was too late"
    assert codes[1:] == [204, 201]


async def admins(app: Any) -> int:
    async with app.state.resources.database.unit() as unit:
        found = await unit.session.scalar(select(func.count()).where(Row.is_admin.is_(True), Row.is_active.is_(True)))
        return int(found)


async def only_admins(app: Any, *users: User) -> None:
    """These are the admins, and nobody else is."""
    async with app.state.resources.database.unit() as unit:
        await unit.session.execute(update(Row).values(is_admin=False))
    for user in users:
        await make_admin(app, user)


@pytest.mark.parametrize("change", [{"is_admin": False}, {"is_active": False}, None])
async def test_two_admins_who_end_each_other_at_once_leave_one(
    running: Running, change: dict[str, bool] | None
) -> None:
    app = await running.app()
    api = await running.client(app)
    one, two = await register(api), await register(api)
    for _ in range(5):
        await only_admins(app, one, two)
        method = "PATCH" if change else "DELETE"
        options: dict[str, Any] = {"json": change} if change else {}
        answers = await asyncio.gather(
            one.request(method, f"/users/{two.id}", **options), two.request(method, f"/users/{one.id}", **options)
        )
        assert sorted(answer.status_code for answer in answers)[0] in (200, 204)
        assert await admins(app) == 1
        if change is None:
            return
        async with app.state.resources.database.unit() as unit:
            await unit.session.execute(update(Row).values(is_active=True))


async def test_the_last_admin_does_not_go(running: Running) -> None:
    app = await running.app()
    api = await running.client(app)
    one, two = await register(api), await register(api)
    await only_admins(app, one)
    assert (await one.request("DELETE", "/users/me")).status_code == 409
    await only_admins(app, one, two)
    answers = await asyncio.gather(one.request("DELETE", "/users/me"), two.request("DELETE", "/users/me"))
    assert sorted(answer.status_code for answer in answers) == [204, 409]
    assert await admins(app) == 1


async def test_an_admin_deletes_an_account_with_all_that_it_owns(running: Running) -> None:
    app = await running.app()
    api = await running.client(app)
    admin, user = await register(api), await register(api)
    item = await user.item()
    assert (await user.request("DELETE", f"/users/{admin.id}")).status_code == 403
    await only_admins(app, admin)
    assert (await admin.request("DELETE", f"/users/{admin.id}")).status_code == 409
    assert (await admin.request("DELETE", f"/users/{user.id}")).status_code == 204
    assert (await admin.request("DELETE", f"/users/{user.id}")).status_code == 404
    assert (await user.get("/users/me")).status_code == 401
    assert (await admin.get(f"/items/{item['id']}")).status_code == 404
