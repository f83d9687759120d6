"""What operators rely on: limits, headers, health, logs, metrics, errors without internals."""

from __future__ import annotations

import io
import json
import logging
import time
import uuid
from types import SimpleNamespace
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from pydantic import ValidationError

from app.core import redis as redis_module
from app.core.observability.logging import JsonFormatter, TextFormatter, first_line, request_context
from app.core.settings import Settings
from tests.app.conftest import KEY, PASSWORD, Running, User, login, register


async def test_requests_beyond_the_limit_are_refused_with_the_time_to_come_back(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a window: at its beginning the time is up to 72 s, for the window counts on in the next one."""
    moment = time.time() // 60 * 60 + 30
    clock = SimpleNamespace(time=lambda: moment, monotonic=time.monotonic)
    monkeypatch.setattr(redis_module, "time", clock)
    api = await running.client(rate_limit_per_minute=5, redis_key_prefix="limits")
    user = await register(api)
    answers = [await user.get("/users/me") for _ in range(7)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert answers[0].status_code == 200
    assert answers[0].headers["ratelimit-limit"] == "5"
    assert 1 <= int(refused[0].headers["retry-after"]) <= 60
    assert refused[0].headers["content-type"] == "application/problem+json"


async def test_logins_have_a_stricter_limit(running: Running) -> None:
    api = await running.client(login_rate_limit_per_minute=3, redis_key_prefix="logins")
    codes = [(await login(api, "a@example.com")).status_code for _ in range(5)]
    assert 429 in codes
    assert (await api.get("/api/v1/users/")).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/users/", "/nowhere", "/livez"])
async def test_every_answer_has_the_security_headers_and_an_id(api: httpx.AsyncClient, path: str) -> None:
    answer = await api.get(path, headers={"x-request-id": "mine-1"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-request-id"] == "mine-1"


async def test_a_request_id_that_could_forge_a_log_line_is_replaced(api: httpx.AsyncClient) -> None:
    answer = await api.get("/livez", headers={"x-request-id": 'a" b'})
    assert answer.headers["x-request-id"] != 'a" b'


async def test_cors_answers_the_listed_origin_only(api: httpx.AsyncClient) -> None:
    good = await api.get("/api/v1/users/", headers={"origin": "https://app.example.com"})
    assert good.headers["access-control-allow-origin"] == "https://app.example.com"
    bad = await api.get("/api/v1/users/", headers={"origin": "https://evil.example.com"})
    assert "access-control-allow-origin" not in bad.headers


async def test_cors_is_off_without_origins(running: Running) -> None:
    api = await running.client(cors_origins="")
    answer = await api.get("/api/v1/users/", headers={"origin": "https://app.example.com"})
    assert "access-control-allow-origin" not in answer.headers


async def test_a_host_that_is_not_trusted_is_refused_but_health_checks_come_by_address(running: Running) -> None:
    api = await running.client(trusted_hosts="api.example.com,*.example.org")
    get = lambda host, path="/api/v1/users/": api.get(path, headers={"host": host})  # noqa: E731
    assert (await get("api.example.com")).status_code == 200
    assert (await get("a.example.org:443")).status_code == 200
    assert (await get("evil.example.com")).status_code == 400
    assert (await get("10.0.0.7", "/livez")).status_code == 200


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_too_large_is_refused(running: Running, declared: bool) -> None:
    api = await running.client(max_body_bytes=1000)

    async def chunks() -> Any:
        for _ in range(20):
            yield b'"' + b"x" * 100

    content: Any = b"x" * 2000 if declared else chunks()
    answer = await api.post("/api/v1/users/", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("PUT", "/livez", 405), ("GET", "/api/v1/users/me", 401)]
)
async def test_every_error_is_a_problem_with_the_request_id(
    api: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await api.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def failing(running: Running) -> FastAPI:
    app = await running.app()

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError("the secret detail")

    return app


async def test_an_unexpected_error_tells_the_caller_nothing_and_the_log_everything(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    api = await running.client(await failing(running))
    logging.getLogger("app.request").addHandler(caplog.handler)
    answer = await api.get("/fails")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "secret detail" in caplog.text


async def test_readiness_names_each_dependency_and_fails_while_draining(running: Running) -> None:
    app = await running.app()
    api = await running.client(app)
    answer = await api.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["dependencies"]["database"]["status"] == "up"
    assert answer.json()["dependencies"]["database"]["latency_ms"] >= 0
    app.state.resources.health.draining = True
    assert (await api.get("/readyz")).status_code == 503
    assert (await api.get("/livez")).status_code == 200


def test_a_log_line_is_one_json_object_with_the_requests_fields() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("r1"))
    mark = request_context.set({"request_id": "abc"})
    try:
        logger = logging.Logger("probe")
        logger.addHandler(handler)
        try:
            raise ValueError("multi\nline")
        except ValueError:
            logger.exception("it failed", extra={"route": "/x"})
    finally:
        request_context.reset(mark)
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert (found["event"], found["request_id"], found["route"], found["release"]) == ("it failed", "abc", "/x", "r1")
    assert "multi" in found["exception"]


async def test_a_request_is_one_line_without_secret_or_body(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    api = await running.client(log_level="info")
    caplog.set_level("INFO", "app.request")
    logging.getLogger("app.request").addHandler(caplog.handler)
    user = await register(api)
    await user.get("/users/me")
    records = [record for record in caplog.records if record.getMessage() == "request"]
    last = records[-1].__dict__
    assert (last["route"], last["status"], last["method"]) == ("/api/v1/users/me", 200, "GET")
    assert last["client"] == "127.0.0.1"
    assert last["duration_ms"] > 0
    everything = "".join(str(record.__dict__) for record in caplog.records)
    assert PASSWORD not in everything
    assert user.tokens["access_token"] not in everything


def count(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_requests_are_counted_by_route_template(user: User) -> None:
    item = await user.item()
    labels = {"method": "GET", "route": "/api/v1/items/{item_id}", "status": "200"}
    before = count("http_request_duration_seconds_count", **labels)
    await user.get(f"/items/{item['id']}")
    assert count("http_request_duration_seconds_count", **labels) == before + 1


async def test_cache_hits_and_misses_are_counted(user: User) -> None:
    item = await user.item()
    hits, misses = count("cache_lookups_total", result="hit"), count("cache_lookups_total", result="miss")
    await user.get(f"/items/{item['id']}")
    await user.get(f"/items/{item['id']}")
    assert count("cache_lookups_total", result="miss") == misses + 1
    assert count("cache_lookups_total", result="hit") == hits + 1


async def test_checks_of_the_rate_limit_are_counted_by_their_result(running: Running) -> None:
    api = await running.client(login_rate_limit_per_minute=1, redis_key_prefix=uuid.uuid4().hex)
    before = {result: count("rate_limit_checks_total", result=result) for result in ("allowed", "refused")}
    for _ in range(3):
        await api.post("/api/v1/auth/token", data={"username": "nobody@example.com", "password": PASSWORD})
    now = {result: count("rate_limit_checks_total", result=result) for result in before}
    assert now == {"allowed": before["allowed"] + 1, "refused": before["refused"] + 2}


def test_the_app_refuses_to_start_with_everything_that_is_missing() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(_env_file=None, environment="prod", secret_key="password" * 6)  # type: ignore[call-arg,arg-type]
    told = str(caught.value)
    for word in ("SECRET_KEY", "DATABASE_HOST", "REDIS_URL"):
        assert word in told
    assert "passwordpassword" not in told


@pytest.mark.parametrize("origins", ["*", "https://a.example.com,*"])
def test_cors_for_everybody_is_refused(origins: str) -> None:
    with pytest.raises(ValidationError, match="CORS_ORIGINS"):
        Settings(_env_file=None, secret_key=KEY, cors_origins=origins)  # type: ignore[call-arg,arg-type]


def test_a_secret_never_prints() -> None:
    settings = Settings(_env_file=None, secret_key=KEY, database_password="hidden-word")  # type: ignore[call-arg,arg-type]  # noqa: S106
    assert KEY not in repr(settings)
    assert "hidden-word" not in repr(settings)


def test_every_operation_has_an_id_and_documents_its_errors() -> None:
    from app.main import create_app

    schema = create_app(Settings(_env_file=None, secret_key=KEY)).openapi()  # type: ignore[call-arg,arg-type]
    ids = [operation["operationId"] for path in schema["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    assert all(id.isalnum() for id in ids)
    for path in schema["paths"].values():
        for operation in path.values():
            assert "422" in operation["responses"]
            assert "application/problem+json" in operation["responses"]["422"]["content"]


def test_a_terminal_gets_the_same_event_in_columns() -> None:
    record = logging.makeLogRecord({"levelname": "INFO", "msg": "request", "status": 200})
    line = TextFormatter().format(record)
    assert "INFO     request" in line
    assert line.endswith("status=200")
    try:
        raise ValueError("why")
    except ValueError:
        import sys

        failed = logging.makeLogRecord({"levelname": "ERROR", "msg": "failed", "exc_info": sys.exc_info()})
    assert "ValueError: why" in TextFormatter().format(failed)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"log_level": "loud"}, "debug, info, warning"),
        ({"secret_key": "changeme-changeme-0123456789-abcdefgh"}, "placeholder"),
        ({"former_secret_key": "short"}, "FORMER_SECRET_KEY must have"),
        ({"environment": "prod", "database_url": "sqlite:///a.db"}, "SQLite is for a laptop"),
        ({"environment": "prod", "database_host": "db"}, "DATABASE_PASSWORD is missing"),
        ({"environment": "prod"}, "DATABASE_HOST"),
        ({"environment": "prod", "secret_key": None}, "SECRET_KEY is missing"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        Settings(_env_file=None, **({"secret_key": KEY} | changes))


async def test_an_action_that_fails_after_the_commit_does_not_undo_it(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    app = await running.app()
    ran: list[int] = []

    async def fails() -> None:
        raise RuntimeError("too late")

    async def runs() -> None:
        ran.append(1)

    logging.getLogger("app.database").addHandler(caplog.handler)
    async with app.state.resources.database.unit() as unit:
        unit.after_commit(fails)
        unit.after_commit(runs)
    assert ran == [1]
    assert "action after commit failed" in caplog.text


async def test_a_broken_statement_is_an_error_of_the_app_and_not_an_outage(running: Running) -> None:
    from sqlalchemy import text

    app = await running.app()

    @app.get("/broken")
    async def broken() -> None:
        await app.state.resources.database.reader.rows(text("SELECT nothing FROM nowhere"))

    assert (await (await running.client(app)).get("/broken")).status_code == 500


def test_sentry_gets_errors_with_release_and_environment_and_no_personal_data(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sentry_sdk

    from app.main import create_app

    sent: list[dict[str, Any]] = []
    start = sentry_sdk.init
    # The SDK itself; only what would go over the network ends here.
    monkeypatch.setattr(sentry_sdk, "init", lambda **options: start(**options, before_send=lambda e, _: sent.append(e)))
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        secret_key=KEY,  # type: ignore[arg-type]
        database_url=running.base.database_url,
        sentry_dsn="http://key@127.0.0.1:9/1",  # type: ignore[arg-type]
        release="r7",
    )
    create_app(settings)
    try:
        hidden = "-".join(("a", "local", "value"))  # not in the source line that Sentry shows
        try:
            raise RuntimeError("unexpected")
        except RuntimeError as error:
            sentry_sdk.capture_exception(error)
    finally:
        sentry_sdk.get_client().close(timeout=0)
        sentry_sdk.get_global_scope().set_client(None)
    (event,) = sent
    assert (event["release"], event["environment"]) == ("r7", "local")
    assert hidden not in json.dumps(event, default=str)
    assert "user" not in event


def test_an_error_is_one_line_and_a_time_out_without_a_text_its_name() -> None:
    assert first_line(ValueError("what\nwhere")) == "what"
    assert first_line(TimeoutError()) == "TimeoutError"
