"""Postgres and Redis over TLS: the certificate and the name are verified, against the given authority alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from app.core.db.database import Database
from app.core.errors import StoreUnavailableError
from app.core.redis import RateLimit, RedisConnection, RedisRateCounter
from app.core.settings import Settings
from app.migrate import upgrade
from app.migrations.migration_lock import MigrationError
from tests.app.conftest import KEY
from tests.app.servers import Server, Tls, postgres, redis

SECRET = "an-auth-token-of-this-test"  # noqa: S105 - of a server that the test starts


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    folder: Path = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    found = Tls(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    issued.cert_chain_pems[0].write_to_path(found.certificate)
    issued.private_key_pem.write_to_path(found.key)
    authority.cert_pem.write_to_path(found.authority)
    return found


@pytest.fixture(scope="module")
def secure_postgres(tls: Tls) -> Iterator[Server]:
    with postgres(tls) as (server, _):
        yield server


@pytest.fixture(scope="module")
def secure_redis(tls: Tls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis(tmp_path_factory.mktemp("redis-tls"), tls, SECRET) as (server, _):
        yield server


def path_of(tls: Tls) -> str:
    return str(tls.authority)


def text_of(tls: Tls) -> str:
    return tls.authority.read_text()


def settings_for(postgres_server: Server, redis_server: Server, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "secret_key": KEY,
        "database_host": "localhost",
        "database_port": postgres_server.port,
        "database_name": "postgres",
        "database_user": "owner",
        "redis_host": "localhost",
        "redis_port": redis_server.port,
        "redis_password": SECRET,
        "redis_tls": True,
        "redis_timeout": 5,
    }
    return Settings(_env_file=None, **(values | changes))


@pytest.mark.parametrize("form", [path_of, text_of])
async def test_both_answer_whoever_trusts_the_authority(
    secure_postgres: Server, secure_redis: Server, tls: Tls, form: Callable[[Tls], str]
) -> None:
    settings = settings_for(secure_postgres, secure_redis, database_ssl_ca=form(tls), redis_ssl_ca=form(tls))
    await asyncio.to_thread(upgrade, settings)
    database = Database(settings)
    from sqlalchemy import text

    row = await database.reader.row(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
    assert row is not None
    assert row["ssl"] is True
    await database.aclose()
    connection = RedisConnection(settings)
    await connection.ping()
    assert (await RedisRateCounter(connection).count(RateLimit("a", 60, 5))).shared
    await connection.close()


async def both_refuse(settings: Settings) -> None:
    with pytest.raises(MigrationError, match="CERTIFICATE_VERIFY_FAILED"):
        await asyncio.to_thread(upgrade, settings)
    connection = RedisConnection(settings)
    with pytest.raises(StoreUnavailableError):
        await connection.ping()
    await connection.close()


async def test_a_server_that_another_authority_vouches_for_is_refused(
    secure_postgres: Server, secure_redis: Server
) -> None:
    stranger = trustme.CA().cert_pem.bytes().decode()
    settings = settings_for(secure_postgres, secure_redis, database_ssl_ca=stranger, redis_ssl_ca=stranger)
    await both_refuse(settings)


async def test_a_server_of_another_name_is_refused(secure_postgres: Server, secure_redis: Server, tls: Tls) -> None:
    settings = settings_for(
        secure_postgres,
        secure_redis,
        database_host="127.0.0.1",  # the certificate is localhost's
        redis_host="127.0.0.1",
        database_ssl_ca=text_of(tls),
        redis_ssl_ca=text_of(tls),
    )
    await both_refuse(settings)


async def test_redis_by_url_is_verified_too(secure_postgres: Server, secure_redis: Server, tls: Tls) -> None:
    url = f"rediss://:{SECRET}@localhost:{secure_redis.port}/0"
    for authority, answers in ((text_of(tls), True), (None, False)):
        changes = {"redis_host": None, "redis_password": None, "redis_url": url, "redis_ssl_ca": authority}
        connection = RedisConnection(settings_for(secure_postgres, secure_redis, **changes))
        if answers:
            await connection.ping()
        else:
            with pytest.raises(StoreUnavailableError):
                await connection.ping()
        await connection.close()
