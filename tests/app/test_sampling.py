"""Which requests have lines in the log."""

from __future__ import annotations

import io
import json
import logging
import math
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI, HTTPException
from pydantic import ValidationError

from app.core.http import middleware
from app.core.observability import logging as app_logging
from app.core.observability.logging import JsonFormatter
from app.core.settings import Settings
from tests.app.conftest import Running

HALF = 0.5
IDS = [f"id-{number}" for number in range(100)]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the app's handler would write, as it would."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(app_logging.Sampled(HALF))
    logger = logging.getLogger("app")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(level)


def read(lines: io.StringIO, event: str = "request") -> list[dict[str, Any]]:
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [line for line in found if line["event"] == event]


@pytest.fixture
async def api(running: Running, monkeypatch: pytest.MonkeyPatch) -> httpx.AsyncClient:
    monkeypatch.setattr(app_logging, "SLOW_SECONDS", math.inf)  # on a busy machine an answer may be slow
    app = await running.app(log_sample_rate=HALF)
    _routes(app)
    return await running.client(app)


def _routes(app: FastAPI) -> None:
    log = logging.getLogger("app.test")

    @app.get("/well")
    async def well() -> None:
        log.info("half-way")
        log.warning("worth a look")

    @app.get("/answers/{status}")
    async def answers(status: int) -> None:
        raise HTTPException(status)


async def ask(api: httpx.AsyncClient, path: str, header: str = "x-request-id", form: str = "{}") -> None:
    for name in IDS:
        await api.get(path, headers={header: form.format(name)})


async def test_a_share_of_the_good_requests_has_lines_whose_weights_sum_up_to_all(
    api: httpx.AsyncClient, lines: io.StringIO
) -> None:
    await ask(api, "/well")
    found = read(lines)
    assert {line["sample_rate"] for line in found} == {HALF}
    assert len(IDS) * 0.8 < sum(1 / line["sample_rate"] for line in found) < len(IDS) * 1.2


async def test_the_lines_of_a_request_are_all_there_or_none_but_a_warning_always(
    api: httpx.AsyncClient, lines: io.StringIO
) -> None:
    await ask(api, "/well")
    told = {line["request_id"] for line in read(lines)}
    assert {line["request_id"] for line in read(lines, "half-way")} == told
    assert {line["sample_rate"] for line in read(lines, "half-way")} == {HALF}
    assert [line["request_id"] for line in read(lines, "worth a look")] == IDS


async def test_requests_of_one_trace_agree(api: httpx.AsyncClient, lines: io.StringIO) -> None:
    for _ in range(2):
        await ask(api, "/well", "x-amzn-trace-id", "Root={}")
    traces = [line["trace_id"] for line in read(lines)]
    assert sorted(traces) == sorted(2 * list(set(traces)))
    assert 0 < len(traces) < 2 * len(IDS)


@pytest.mark.parametrize(("status", "always"), [(500, True), (503, True), (401, True), (403, True), (404, False)])
async def test_errors_of_ours_and_refused_access_always_have_a_line(
    api: httpx.AsyncClient, lines: io.StringIO, status: int, always: bool
) -> None:
    await ask(api, f"/answers/{status}")
    found = read(lines)
    assert (len(found) == len(IDS)) is always
    assert {line["sample_rate"] for line in found} == {1 if always else HALF}


async def test_a_slow_answer_always_has_a_line(
    api: httpx.AsyncClient, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_logging, "SLOW_SECONDS", 0)
    await ask(api, "/well")
    assert len(read(lines)) == len(IDS)


async def test_refusals_of_a_full_process_are_sampled_for_they_are_many_and_alike(
    running: Running, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "RETRY_SECONDS", 0)  # as long as each waits for its refusal
    app = await running.app(log_sample_rate=HALF, max_in_flight=1)
    api = await running.client(app)

    @app.get("/fills")
    async def fills() -> None:
        await ask(api, "/api/v1/users/")

    await api.get("/fills")
    refused = [line for line in read(lines) if line["status"] == 503]
    assert 0 < len(refused) < len(IDS)
    assert {line["sample_rate"] for line in refused} == {HALF}


def test_without_a_setting_every_request_has_its_line() -> None:
    assert Settings(_env_file=None).log_sample_rate == 1


@pytest.mark.parametrize("wrong", [0, 1.5, -1])
def test_a_share_that_is_none_is_refused(wrong: float) -> None:
    with pytest.raises(ValidationError, match="log_sample_rate"):
        Settings(_env_file=None, log_sample_rate=wrong)
