"""HTTP itself: redirects, HEAD, CORS on every answer, what goes over plain HTTP only when it may."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2 as httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.core.db.database import Database
from app.core.errors import is_passing
from app.core.settings import Settings
from tests.app.conftest import KEY, Running, new_database
from tests.app.servers import Server

ORIGIN = "https://app.example.com"


@pytest.mark.parametrize(("method", "status"), [("GET", 307), ("POST", 307)])
async def test_a_redirect_does_not_lead_to_a_host_that_the_caller_named(
    api: httpx.AsyncClient, method: str, status: int
) -> None:
    answer = await api.request(method, "/api/v1/items?limit=5", headers={"host": "evil.example"})
    assert answer.status_code == status
    assert answer.headers["location"] == "/api/v1/items/?limit=5"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/api/v1/users/", "/openapi.json"])
async def test_whatever_can_be_read_has_a_head(api: httpx.AsyncClient, path: str) -> None:
    head, get = await api.head(path), await api.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    assert (await api.head("/api/v1/auth/token")).status_code == 405


async def test_a_page_of_another_origin_may_read_errors_too(running: Running) -> None:
    app = await running.app(
        max_body_bytes=1000, trusted_hosts="testserver", rate_limit_per_minute=1, redis_key_prefix="origins"
    )

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError

    api = await running.client(app)
    headers = {"origin": ORIGIN}
    answers = [
        await api.get("/fails", headers=headers),
        await api.post("/api/v1/users/", content=b"x" * 2000, headers=headers),
        await api.get("/livez", headers=headers),
        await api.get("/fails", headers=headers | {"host": "evil.example"}),
        await api.get("/nowhere", headers=headers),
        *[await api.get("/api/v1/users/", headers=headers) for _ in range(2)],
    ]
    assert [answer.status_code for answer in answers] == [500, 413, 200, 400, 404, 200, 429]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "x-request-id" in answer.headers
    exposed = answers[-1].headers["access-control-expose-headers"].lower()
    assert {"retry-after", "etag", "location", "content-disposition"} <= set(exposed.split(", "))
    preflight = {"origin": ORIGIN, "access-control-request-method": "PATCH"}
    answer = await api.options("/api/v1/users/me", headers=preflight)
    assert answer.status_code == 200
    assert "x-content-type-options" in answer.headers


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/livez", "/nowhere"])
async def test_hsts_goes_over_tls_alone(running: Running, path: str) -> None:
    app = await running.app()
    plain = await running.client(app)
    assert "strict-transport-security" not in (await plain.get(path)).headers
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://testserver") as secure:
        assert (await secure.get(path)).headers["strict-transport-security"].startswith("max-age=")


@asynccontextmanager
async def refusing_postgres(code: str) -> AsyncIterator[int]:
    """A server that ends every connection with this SQLSTATE, as Postgres does; its port."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!i", await reader.readexactly(4))
        if length == 8:  # it asks for TLS first
            await reader.readexactly(4)
            writer.write(b"N")
            (length,) = struct.unpack("!i", await reader.readexactly(4))
        await reader.readexactly(length - 4)
        fields = f"SFATAL\0VFATAL\0C{code}\0Mno entrance\0\0".encode()
        writer.write(b"E" + struct.pack("!i", len(fields) + 4) + fields)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


# A password that is being rotated, a server that starts or stops, one with no room, one that lacks the role.
@pytest.mark.parametrize("code", ["28P01", "57P03", "57P01", "53300", "28000", "3D000"])
async def test_a_database_that_lets_nobody_in_is_unavailable_and_one_line(
    code: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with refusing_postgres(code) as port, AsyncExitStack() as stack:
        base = Settings(
            _env_file=None,
            secret_key=KEY,  # type: ignore[arg-type]
            database_url=f"postgresql://app:old@127.0.0.1:{port}/app",  # type: ignore[arg-type]
        )
        api = await Running(stack, base).client()
        logging.getLogger("app.errors").addHandler(caplog.handler)
        caplog.clear()
        login = await api.post("/api/v1/auth/token", data={"username": "a@example.com", "password": "x"})
        for answer in (await api.get("/api/v1/users/"), login):
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.exc_info for record in errors] == [None, None]
    assert {record.__dict__["cause"] for record in errors} == {"no entrance"}


async def test_a_write_to_what_is_the_standby_since_a_failover_is_unavailable_and_connects_anew(
    postgres_server: tuple[Server, str],
) -> None:
    url = await new_database(postgres_server[1])
    database = Database(Settings(_env_file=None, secret_key=KEY, database_url=url))  # type: ignore[call-arg,arg-type]
    backends = set()
    for _ in range(2):
        row = await database.reader.row(text("SELECT pg_backend_pid() AS pid"))
        assert row is not None
        backends.add(row["pid"])
        with pytest.raises(DBAPIError, match="read-only") as caught:
            await _write(database)
        assert is_passing(caught.value)
    assert len(backends) == 2
    await database.aclose()


async def _write(database: Database) -> None:
    async with database.unit() as unit:
        await unit.session.execute(text("SET TRANSACTION READ ONLY"))
        await unit.session.execute(text("CREATE TABLE t (a int)"))


async def test_an_error_that_has_nothing_to_do_with_the_database_does_not_blame_it(running: Running) -> None:
    app = await running.app()

    @app.get("/no-file")
    async def no_file() -> None:
        raise FileNotFoundError("elsewhere")

    answer = await (await running.client(app)).get("/no-file")
    assert answer.status_code == 500
    assert "database" not in answer.text
