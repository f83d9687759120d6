"""The connection to Redis: short time-outs, and TLS that verifies chain and name."""

from typing import Any

from redis.asyncio import Redis, SSLConnection
from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.core.settings import Settings


def connect(settings: Settings) -> Redis:
    """A client with short time-outs and no retries: the database answers sooner than a second try."""
    options: dict[str, Any] = {
        "socket_timeout": settings.redis_timeout,
        "socket_connect_timeout": settings.redis_timeout,
        "retry": Retry(NoBackoff(), 0),
    }
    if settings.redis_url is not None:
        url = settings.redis_url.get_secret_value()
        if url.startswith("rediss"):
            options |= _tls(settings)
        return Redis.from_pool(ConnectionPool.from_url(url, **options))
    options |= {"host": settings.redis_host, "port": settings.redis_port}
    if settings.redis_password is not None:
        options["password"] = settings.redis_password.get_secret_value()
    if settings.redis_tls:
        options |= {"connection_class": SSLConnection, **_tls(settings)}
    return Redis.from_pool(ConnectionPool(**options))


def _tls(settings: Settings) -> dict[str, Any]:
    """Verify the server's certificate and name, against the given authority when there is one."""
    options: dict[str, Any] = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    authority = settings.redis_ssl_ca
    if authority and "-----BEGIN" in authority:
        options["ssl_ca_data"] = authority
    elif authority:
        options["ssl_ca_certs"] = authority
    return options
