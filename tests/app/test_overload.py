"""More requests than a process can answer: those beyond the limit are refused, and who only looks is answered."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI

from app.core.settings import Settings
from tests.app.conftest import Running
from tests.app.test_operations import count

ORIGIN = {"origin": "https://app.example.com"}


class Held:
    """An app that answers two requests at once, and a route that waits until it is let go."""

    def __init__(self, app: FastAPI, api: httpx.AsyncClient) -> None:
        self.api, self.go, self.waiting = api, asyncio.Event(), asyncio.Barrier(3)

        @app.get("/held")
        async def held() -> str:
            await self.waiting.wait()
            await self.go.wait()
            return "done"

    async def full(self) -> list[asyncio.Task[httpx.Response]]:
        """Its two requests, once they are there."""
        asked = [asyncio.create_task(self.api.get("/held")) for _ in range(2)]
        await self.waiting.wait()
        return asked


@pytest.fixture
async def held(running: Running) -> Held:
    app = await running.app(max_in_flight=2)
    return Held(app, await running.client(app))


async def test_a_request_beyond_the_limit_is_refused_as_a_problem_that_a_page_may_read(held: Held) -> None:
    refused = count("http_requests_refused_total")
    asked = await held.full()
    answer = await held.api.get("/api/v1/users/", headers=ORIGIN)
    held.go.set()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["access-control-allow-origin"] == ORIGIN["origin"]
    assert "Retry-After" in answer.headers["access-control-expose-headers"]
    assert count("http_requests_refused_total") == refused + 1
    assert [(await each).status_code for each in asked] == [200, 200]


@pytest.mark.parametrize(("method", "path"), [("GET", "/livez"), ("HEAD", "/livez"), ("GET", "/readyz")])
async def test_probes_pass_when_a_process_is_full(held: Held, method: str, path: str) -> None:
    await held.full()
    answer = await held.api.request(method, path)
    held.go.set()
    assert answer.status_code == 200


@pytest.mark.parametrize("end", ["answered", "failed", "gone"])
async def test_every_request_that_has_ended_makes_room(running: Running, end: str) -> None:
    app = await running.app(max_in_flight=1)
    api = await running.client(app)
    reached = asyncio.Event()

    @app.get("/ends")
    async def ends() -> str:
        reached.set()
        if end == "failed":
            raise RuntimeError("unforeseen")
        if end == "gone":
            await asyncio.sleep(60)
        return "done"

    asked = asyncio.create_task(api.get("/ends"))
    await reached.wait()
    if end == "gone":
        asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert (await api.get("/api/v1/users/")).status_code == 200


@pytest.mark.parametrize(("given", "limit"), [({}, 200), ({"database_pool_size": 5}, 100), ({"max_in_flight": 7}, 7)])
def test_the_limit_follows_from_the_pool_unless_it_is_said(given: dict[str, Any], limit: int) -> None:
    assert Settings(_env_file=None, **given).max_requests_in_flight == limit
