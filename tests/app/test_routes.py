"""Every route is public by name, or checks the account; each line that limits or caches can be taken away by itself."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Annotated, Any, get_args, get_origin

import pytest
from fastapi import Depends, FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.api import deps
from app.api.cache import cached
from app.api.deps import ORDINARY, CurrentUser, DatabaseDep, get_current_admin, get_current_user
from app.api.etags import etag_of
from app.core.cache import CacheKey, Lease
from app.core.errors import Problem
from app.core.security.tokens import TokenClaims
from app.schemas.item import ItemRead
from app.schemas.user import ActiveUser
from app.services import items
from tests.app.conftest import PASSWORD, Running, register

PUBLIC = {
    "GET /livez",
    "GET /readyz",
    "GET /openapi.json",
    "GET /docs",
    "GET /docs/oauth2-redirect",
    "GET /redoc",
    "GET /api/v1/users/",
    "POST /api/v1/users/",
    "POST /api/v1/auth/token",
    "POST /api/v1/auth/refresh",
    "POST /api/v1/auth/logout",
}
"""Whoever adds a public route says so here."""
ADMINS = {"GET /api/v1/users/all", "PATCH /api/v1/users/{user_id}", "DELETE /api/v1/users/{user_id}"}


def routes_of(router: Any) -> Iterator[tuple[str, Any]]:
    """Each route by method and path, those of included routers as well."""
    for route in router.routes:
        if hasattr(route, "original_router"):
            yield from routes_of(route.original_router)
            continue
        assert hasattr(route, "methods"), f"{route!r}: what is mounted is looked at by nobody"
        for method in route.methods - {"HEAD"}:
            yield f"{method} {route.path}", route


def calls_of(route: Any) -> list[Callable[..., Any] | None]:
    """The dependencies that are called for a route."""

    def calls(dependant: Dependant) -> Iterator[Callable[..., Any] | None]:
        for dependency in dependant.dependencies:
            yield from calls(dependency)
            yield dependency.call

    return list(calls(route.dependant)) if isinstance(route, APIRoute) else []


async def test_every_route_is_public_by_name_or_checks_the_account(shared: FastAPI) -> None:
    routes = dict(routes_of(shared))
    assert {name for name, route in routes.items() if get_current_user not in calls_of(route)} == PUBLIC
    assert {name for name, route in routes.items() if get_current_admin in calls_of(route)} == ADMINS


def test_no_dependency_gives_what_only_the_token_says() -> None:
    given = [get_args(value)[0] for value in vars(deps).values() if get_origin(value) is Annotated]
    assert ActiveUser in given
    assert TokenClaims not in given


async def test_whatever_is_not_public_refuses_a_token_that_was_ended(running: Running) -> None:
    """Asked for over HTTP, so that nothing but the answer counts."""
    app = await running.app()
    user = await register(await running.client(app))
    item = await user.item()
    for _ in range(2):  # a miss, then a hit
        assert (await user.get("/items/")).status_code == 200
        assert (await user.get(f"/items/{item['id']}")).status_code == 200
    body = {"current_password": PASSWORD, "new_password": "another long password"}
    assert (await user.request("POST", "/users/me/password", json=body)).status_code == 204
    checked = [name for name, _ in routes_of(app) if name not in PUBLIC]
    assert len(checked) == 16
    for name in checked:
        method, path = name.split(" ")
        for parameter in ("item_id", "user_id", "export_id"):
            path = path.replace(f"{{{parameter}}}", item["id"])
        answer = await user.request(method, path.removeprefix("/api/v1"), json={})
        assert answer.status_code == 401, name


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize("is_cached", [True, False])
async def test_limiter_and_cache_work_alone_and_together(running: Running, limited: bool, is_cached: bool) -> None:
    """`read_item` with each of the two lines, and without it."""
    app = await running.app(redis_key_prefix=uuid.uuid4().hex)
    runs: list[uuid.UUID] = []

    async def own(item_id: uuid.UUID, response: Response, user: CurrentUser, database: DatabaseDep) -> ItemRead:
        runs.append(item_id)
        item = await items.read(database, user=user, item_id=item_id)
        response.headers["etag"] = etag_of(item.version)
        return item

    endpoint = cached()(own) if is_cached else own
    app.get("/api/v1/own/{item_id}", dependencies=[Depends(ORDINARY)] if limited else [])(endpoint)
    user = await register(await running.client(app))
    item = await user.item()
    answers = [await user.get(f"/own/{item['id']}") for _ in range(4)]
    assert [answer.json() for answer in answers] == [item] * 4
    assert {answer.headers["etag"] for answer in answers} == {'"1"'}
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
    assert {"ratelimit-limit" in answer.headers for answer in answers} == {limited}
    assert len(runs) == (1 if is_cached else 4)
    again = await user.get(f"/own/{item['id']}", headers={"if-none-match": '"1"'})
    assert (again.status_code, again.content) == (304, b"")


class Answer(BaseModel):
    text: str


async def refuse(request: Request) -> None:
    if "x-refuse" in request.headers:
        raise Problem(409, "refused")


async def test_a_request_that_is_refused_before_its_endpoint_runs_keeps_nobody_waiting(running: Running) -> None:
    app = await running.app(redis_key_prefix=uuid.uuid4().hex)

    @app.get("/own")
    @cached(group="own")
    async def own(_: Annotated[None, Depends(refuse)], number: int = 0) -> Answer:
        return Answer(text=f"computed {number}")

    api = await running.client(app)
    assert (await api.get("/own", headers={"x-refuse": "1"})).status_code == 409
    assert (await api.get("/own?number=none")).status_code == 422
    cache = app.state.resources.response_cache
    for asked in ("/own?", "/own?number=none"):
        lease = await cache.claim(CacheKey("public:own", asked))
        assert isinstance(lease, Lease), "it is still held"
        await cache.release(CacheKey("public:own", asked), lease)
    assert (await api.get("/own")).json() == {"text": "computed 0"}


async def test_an_account_that_a_test_overrides_is_a_cached_endpoints_too(running: Running) -> None:
    app = await running.app()
    user = await register(await running.client(app))
    item = await user.item()
    account = (await user.get("/users/me")).json()

    async def somebody() -> ActiveUser:
        return ActiveUser(token_version=1, **account)

    app.dependency_overrides[get_current_user] = somebody
    api = await running.client(app)
    assert (await api.get(f"/api/v1/items/{item['id']}")).json() == item
    assert account.keys() == {"id", "display_name", "created_at", "email", "is_active", "is_admin", "last_login_at"}


async def test_an_item_of_an_account_that_is_deleted_meanwhile_is_a_conflict(running: Running) -> None:
    app = await running.app()
    user = await register(await running.client(app))
    account = (await user.get("/users/me")).json()

    async def deleted_since() -> ActiveUser:
        return ActiveUser(token_version=1, **{**account, "id": uuid.uuid4()})

    app.dependency_overrides[get_current_user] = deleted_since
    answer = await (await running.client(app)).post("/api/v1/items/", json={"title": "Too late"})
    assert answer.status_code == 409, answer.text
