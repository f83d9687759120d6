"""Items: ownership, lists, versions, creation that can be repeated."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.app.conftest import PASSWORD, Running, User, make_admin, register


def test_items_need_a_token(client: TestClient) -> None:
    assert client.get("/api/v1/items/").status_code == 401


def test_create_and_read_an_item(client: TestClient) -> None:
    client.post("/api/v1/users/", json={"email": "a@example.com", "display_name": "Ada", "password": PASSWORD})
    tokens = client.post("/api/v1/auth/token", data={"username": "a@example.com", "password": PASSWORD}).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    made = client.post("/api/v1/items/", json={"title": "Lighthouse"}, headers=headers)
    assert made.status_code == 201
    assert client.get(f"/api/v1/items/{made.json()['id']}", headers=headers).json() == made.json()


async def test_an_item_of_somebody_else_is_not_there(user: User, other: User) -> None:
    item = await user.item()
    path = f"/items/{item['id']}"
    assert (await other.get(path)).status_code == 404
    assert (await other.request("PATCH", path, json={"title": "Mine"})).status_code == 404
    assert (await other.request("DELETE", path)).status_code == 404
    assert [i["id"] for i in (await other.get("/items/")).json()] == []
    assert (await user.get(path)).json()["title"] == "Lighthouse"


async def test_admins_see_and_change_all(running: Running) -> None:
    app = await running.app()
    api = await running.client(app)
    admin, user = await register(api), await register(api)
    await make_admin(app, admin)
    item = await user.item()
    path = f"/items/{item['id']}"
    assert (await user.get(path)).json()["title"] == "Lighthouse"
    assert (await admin.get(path)).status_code == 200
    assert item["id"] in {i["id"] for i in (await admin.get("/items/?limit=100")).json()}
    assert (await admin.request("PATCH", path, json={"title": "Edited"})).status_code == 200
    assert (await user.get(path)).json()["title"] == "Edited", "the owner's cached answer is dropped"


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "title", "-title"])
async def test_every_order_pages_through_everything_once(user: User, sort: str) -> None:
    titles = [f"Item {number % 3}" for number in range(7)]
    for title in titles:
        await user.item(title)
    found: list[dict[str, Any]] = []
    path: str | None = f"/items/?limit=2&sort={sort}"
    while path:
        answer = await user.get(path)
        found += answer.json()
        following = answer.links.get("next", {}).get("url")
        path = following.split("/api/v1", 1)[1] if following else None
    assert len({item["id"] for item in found}) == len(titles) == len(found)
    values = [item[sort.removeprefix("-")] for item in found]
    assert values == sorted(values, reverse=sort.startswith("-"))


async def test_the_total_of_all_pages_is_said_when_it_is_asked_for(user: User, other: User) -> None:
    for number in range(5):
        await user.item(f"Tower {number}", status="active" if number else "draft")
    await other.item("Tower of somebody else")
    answer = await user.get("/items/?limit=2&count=true&status=active&search=tower")
    assert (len(answer.json()), answer.headers["x-total-count"]) == (2, "4")
    again = await user.get("/items/?limit=2&count=true&status=active&search=tower")
    assert again.headers["x-total-count"] == "4", "from the cache as well"
    assert again.headers["link"] == answer.headers["link"]
    assert "x-total-count" not in (await user.get("/items/?limit=2")).headers
    assert int((await user.get("/users/?limit=1&count=true")).headers["x-total-count"]) >= 2


async def test_search_and_filter(user: User) -> None:
    await user.item("Red lighthouse", status="active")
    await user.item("Blue LIGHTHOUSE")
    await user.item("100% tower")
    await user.item("1000 towers")

    async def titles(query: str) -> set[str]:
        return {item["title"] for item in (await user.get(f"/items/?{query}")).json()}

    assert await titles("search=lightHOUSE") == {"Red lighthouse", "Blue LIGHTHOUSE"}
    assert await titles("search=lighthouse&status=active") == {"Red lighthouse"}
    assert await titles("search=100%25") == {"100% tower"}
    assert await titles("status=active") == {"Red lighthouse"}
    assert "Red lighthouse" not in await titles("status=draft"), "the same statement with another value"


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "sort=owner_id", "cursor=nonsense", "unknown=1"])
async def test_a_wrong_query_is_refused(user: User, query: str) -> None:
    assert (await user.get(f"/items/?{query}")).status_code == 422


async def test_a_cursor_of_another_order_is_refused_or_harmless(user: User) -> None:
    await user.item()
    link = (await user.get("/items/?limit=1&sort=title")).links["next"]["url"]
    path = link.split("/api/v1", 1)[1].replace("sort=title", "sort=created_at")
    assert (await user.get(path)).status_code == 422


async def test_reads_are_conditional(user: User) -> None:
    item = await user.item()
    first = await user.get(f"/items/{item['id']}")
    etag = first.headers["etag"]
    again = await user.get(f"/items/{item['id']}", headers={"if-none-match": etag})
    assert (again.status_code, again.text) == (304, "")
    changed = await user.request("PATCH", f"/items/{item['id']}", json={"title": "Tower"})
    assert changed.headers["etag"] != etag
    fresh = await user.get(f"/items/{item['id']}", headers={"if-none-match": etag})
    assert (fresh.status_code, fresh.json()["title"]) == (200, "Tower")


async def test_of_two_changes_to_the_same_version_one_wins(user: User) -> None:
    item = await user.item()
    headers = {"if-match": '"1"'}
    answers = await asyncio.gather(
        *(user.request("PATCH", f"/items/{item['id']}", json={"title": f"From {n}"}, headers=headers) for n in range(8))
    )
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] + [412] * 7
    winner = next(answer.json() for answer in answers if answer.status_code == 200)
    assert (await user.get(f"/items/{item['id']}")).json() == winner


async def test_a_stale_delete_is_refused(user: User) -> None:
    item = await user.item()
    await user.request("PATCH", f"/items/{item['id']}", json={"title": "Tower"})
    stale = await user.request("DELETE", f"/items/{item['id']}", headers={"if-match": '"1"'})
    assert stale.status_code == 412
    assert (await user.request("DELETE", f"/items/{item['id']}", headers={"if-match": '"2"'})).status_code == 204
    assert (await user.get(f"/items/{item['id']}")).status_code == 404


async def test_an_idempotent_create_sent_twenty_times_at_once_makes_one_item(user: User) -> None:
    headers = {"idempotency-key": uuid.uuid4().hex}
    answers = await asyncio.gather(
        *(user.request("POST", "/items/", json={"title": "Once"}, headers=headers) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {201}, [a.text for a in answers]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await user.get("/items/")).json()) == 1


async def test_an_idempotency_key_belongs_to_one_request(user: User, other: User) -> None:
    headers = {"idempotency-key": "the-same"}
    assert (await user.request("POST", "/items/", json={"title": "One"}, headers=headers)).status_code == 201
    assert (await user.request("POST", "/items/", json={"title": "Two"}, headers=headers)).status_code == 422
    assert (await other.request("POST", "/items/", json={"title": "Two"}, headers=headers)).status_code == 201


async def test_a_change_shows_at_once_whatever_was_cached(user: User) -> None:
    item = await user.item()
    for number in range(5):
        title = f"Version {number}"
        await user.request("PATCH", f"/items/{item['id']}", json={"title": title})
        assert (await user.get(f"/items/{item['id']}")).json()["title"] == title
        assert (await user.get("/items/")).json()[0]["title"] == title
