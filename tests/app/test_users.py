"""Accounts."""

from __future__ import annotations

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from app.api.deps import get_current_user
from app.schemas.user import ActiveUser
from tests.app.conftest import PASSWORD, Running, User, login, make_admin, register


def test_get_users(client: TestClient) -> None:
    response = client.get("/api/v1/users/")
    assert response.status_code == 200
    assert isinstance(response.json(), list)


async def test_the_public_list_shows_no_address(api: httpx.AsyncClient, user: User) -> None:
    answer = await api.get("/api/v1/users/?limit=100")
    assert user.email not in answer.text
    assert {key for profile in answer.json() for key in profile} == {"id", "display_name", "created_at"}


async def test_the_list_is_continued_by_its_link(api: httpx.AsyncClient, user: User, other: User) -> None:
    seen: list[str] = []
    url: str | None = "/api/v1/users/?limit=1"
    while url:
        answer = await api.get(url)
        seen += [profile["id"] for profile in answer.json()]
        url = answer.links.get("next", {}).get("url")
    assert len(seen) == len(set(seen))
    assert {user.id, other.id} <= set(seen)


async def test_an_address_is_one_account_however_it_is_written(api: httpx.AsyncClient, user: User) -> None:
    body = {"email": user.email.upper(), "display_name": "Eve", "password": PASSWORD}
    assert (await api.post("/api/v1/users/", json=body)).status_code == 409


@pytest.mark.parametrize(
    "change",
    [{"email": "nobody"}, {"password": "short"}, {"display_name": ""}, {"is_admin": True}, {"display_name": "\x00"}],
)
async def test_bad_input_is_refused_without_an_echo_of_it(api: httpx.AsyncClient, change: dict[str, object]) -> None:
    body = {"email": "a@example.com", "display_name": "Ada", "password": PASSWORD} | change
    answer = await api.post("/api/v1/users/", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert PASSWORD not in answer.text
    assert "input" not in answer.json()["errors"][0]


async def test_own_account_can_be_read_and_changed(user: User) -> None:
    assert (await user.get("/users/me")).json()["email"] == user.email
    changed = await user.request("PATCH", "/users/me", json={"display_name": "Countess"})
    assert changed.json()["display_name"] == "Countess"
    assert (await user.get("/users/me")).json()["display_name"] == "Countess"


async def test_an_address_that_is_taken_cannot_be_changed_to(user: User, other: User) -> None:
    answer = await user.request("PATCH", "/users/me", json={"email": other.email})
    assert answer.status_code == 409
    assert (await user.get("/users/me")).json()["email"] == user.email


async def test_a_new_password_ends_every_login(api: httpx.AsyncClient, user: User) -> None:
    body = {"current_password": PASSWORD, "new_password": "another long password"}
    assert (await user.request("POST", "/users/me/password", json=body)).status_code == 204
    assert (await user.get("/users/me")).status_code == 401
    refresh = {"refresh_token": user.tokens["refresh_token"]}
    assert (await api.post("/api/v1/auth/refresh", json=refresh)).status_code == 401
    assert (await login(api, user.email)).status_code == 401
    assert (await login(api, user.email, "another long password")).status_code == 200


async def test_the_old_password_is_asked_for(user: User) -> None:
    body = {"current_password": "not the password", "new_password": "another long password"}
    assert (await user.request("POST", "/users/me/password", json=body)).status_code == 403
    assert (await user.get("/users/me")).status_code == 200


async def test_a_deleted_account_is_gone_with_what_it_owned(api: httpx.AsyncClient, user: User) -> None:
    item = await user.item()
    assert (await user.get(f"/items/{item['id']}")).status_code == 200
    assert (await user.request("DELETE", "/users/me")).status_code == 204
    assert (await user.get("/users/me")).status_code == 401
    assert (await user.get(f"/items/{item['id']}")).status_code == 401
    assert (await login(api, user.email)).status_code == 401


async def test_admins_see_and_deactivate_accounts(running: Running) -> None:
    app = await running.app()
    api = await running.client(app)
    admin, user = await register(api), await register(api)
    assert (await user.get("/users/all")).status_code == 403
    await make_admin(app, admin)
    assert any(account["email"] == admin.email for account in await _all(admin))
    item = await user.item()
    assert (await user.get(f"/items/{item['id']}")).status_code == 200
    off = await admin.request("PATCH", f"/users/{user.id}", json={"is_active": False})
    assert off.json()["is_active"] is False
    assert (await user.get("/users/me")).status_code == 401
    assert (await user.get(f"/items/{item['id']}")).status_code == 401, "not from the cache either"
    assert (await login(api, user.email)).status_code == 401


async def _all(admin: User) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    path: str | None = "/users/all?limit=100"
    while path:
        answer = await admin.get(path)
        found += answer.json()
        following = answer.links.get("next", {}).get("url")
        path = following.split("/api/v1", 1)[1] if following else None
    return found


async def test_an_admin_does_not_lock_themselves_out(running: Running) -> None:
    app = await running.app()
    admin = await register(await running.client(app))
    await make_admin(app, admin)
    answer = await admin.request("PATCH", f"/users/{admin.id}", json={"is_admin": False})
    assert answer.status_code == 409
    nobody = await admin.request("PATCH", "/users/00000000-0000-0000-0000-000000000000", json={})
    assert nobody.status_code == 404


async def test_a_dependency_can_be_overridden(running: Running) -> None:
    app = await running.app()
    api = await running.client(app)
    user = await register(api)
    account = (await user.get("/users/me")).json()

    async def somebody() -> ActiveUser:
        return ActiveUser(token_version=1, **account)

    app.dependency_overrides[get_current_user] = somebody
    assert (await api.get("/api/v1/users/me")).json()["id"] == user.id


async def test_a_cursor_that_was_made_up_is_refused(api: httpx.AsyncClient) -> None:
    from app.schemas.base import encode_cursor

    for cursor in ("nonsense", encode_cursor("yesterday", "not-an-id")):
        answer = await api.get("/api/v1/users/", params={"cursor": cursor})
        assert answer.status_code == 422, answer.text
