"""Typed values for `variables` of stacks/app.yaml; two tables map each name to its attribute.

config/app_spec refuses any other name when app.yaml is read; a test compares its list with the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pulumi

from slipway.components.outputs import SecretReference
from slipway.config import constants
from slipway.program.stack_context import StackContext

Part = TypeVar("Part")


@dataclass(frozen=True)
class StackValues:
    """The names of a stack."""

    project: str
    name: str
    """`<project>-<stack>`."""
    tier: str
    hosts: pulumi.Input[str]
    """Allowed host names; `*` for any."""


@dataclass(frozen=True)
class DatabaseValues:
    """A database as a process connects to it."""

    host: pulumi.Input[str]
    port: pulumi.Input[str]
    name: pulumi.Input[str]
    user: pulumi.Input[str]
    ca: pulumi.Input[str]
    """Path of the certificate authority in the container."""
    pool: str
    """Size of a process's connection pool."""
    password: SecretReference | None
    """None if app.yaml does not use it and the kit does not store it (an external database)."""
    urls: Mapping[str, SecretReference] = field(default_factory=dict)
    """Name in app.yaml -> URL, of those that app.yaml uses."""


@dataclass(frozen=True)
class CacheValues:
    """A Redis as a process connects to it."""

    host: pulumi.Input[str]
    port: pulumi.Input[str]
    ca: pulumi.Input[str]
    """Path of the certificate authority in the container."""
    tls: str
    """`true` or `false`."""
    password: SecretReference
    url: SecretReference | None = None
    """None if app.yaml does not use it."""


@dataclass(frozen=True)
class QueueValues:
    """The job queue."""

    url: pulumi.Input[str]
    name: pulumi.Input[str]
    timeout: str
    """Maximum duration of a job in seconds."""


@dataclass(frozen=True)
class BucketValues:
    """The app's bucket."""

    name: pulumi.Input[str]


@dataclass(frozen=True)
class InjectedValues:
    """All values that a stack injects into its processes. None for a store that the app does not need."""

    stack: StackValues
    region: pulumi.Input[str]
    trusted_proxies: pulumi.Input[str]
    """CIDR blocks of the load balancer, separated by commas."""
    database: DatabaseValues | None = None
    release_database: DatabaseValues | None = None
    """Replaces `database` in the release task, which logs in as another user. None: the same."""
    cache: CacheValues | None = None
    queue: QueueValues | None = None
    bucket: BucketValues | None = None
    generated: Mapping[str, SecretReference] = field(default_factory=dict)
    """Variable -> its generated value, or the one before the last rotation."""
    configured: Mapping[str, SecretReference] = field(default_factory=dict)
    """Variable of `secrets` -> its configured value."""

    def for_release_task(self) -> InjectedValues:
        """Returns the values of the release task."""
        return replace(self, database=self.release_database or self.database)

    def require_database(self) -> DatabaseValues:
        """Returns the database's values.

        Raises:
            LookupError: The app needs no database.
        """
        return _require(self.database, "database")

    def require_cache(self) -> CacheValues:
        """Returns the cache's values.

        Raises:
            LookupError: The app needs no cache.
        """
        return _require(self.cache, "cache")

    def require_queue(self) -> QueueValues:
        """Returns the queue's values.

        Raises:
            LookupError: The app needs no queue.
        """
        return _require(self.queue, "queue")

    def require_bucket(self) -> BucketValues:
        """Returns the bucket's values.

        Raises:
            LookupError: The app needs no bucket.
        """
        return _require(self.bucket, "bucket")


PLAIN_VALUE_GETTERS: Mapping[str, Callable[[InjectedValues], pulumi.Input[str]]] = {
    "database.host": lambda values: values.require_database().host,
    "database.port": lambda values: values.require_database().port,
    "database.name": lambda values: values.require_database().name,
    "database.user": lambda values: values.require_database().user,
    "database.ca": lambda values: values.require_database().ca,
    "database.pool": lambda values: values.require_database().pool,
    "cache.host": lambda values: values.require_cache().host,
    "cache.port": lambda values: values.require_cache().port,
    "cache.ca": lambda values: values.require_cache().ca,
    "cache.tls": lambda values: values.require_cache().tls,
    "queue.url": lambda values: values.require_queue().url,
    "queue.name": lambda values: values.require_queue().name,
    "queue.timeout": lambda values: values.require_queue().timeout,
    "bucket.name": lambda values: values.require_bucket().name,
    "stack.project": lambda values: values.stack.project,
    "stack.name": lambda values: values.stack.name,
    "stack.tier": lambda values: values.stack.tier,
    "stack.hosts": lambda values: values.stack.hosts,
}
"""Name in app.yaml -> value that a container gets as a plain environment variable."""

SECRET_VALUE_GETTERS: Mapping[str, Callable[[InjectedValues], SecretReference]] = {
    "database.url": lambda values: _require_database_url(values, "database.url"),
    "database.url.asyncpg": lambda values: _require_database_url(values, "database.url.asyncpg"),
    "database.url.psycopg": lambda values: _require_database_url(values, "database.url.psycopg"),
    "database.password": lambda values: _require(values.require_database().password, "database.password"),
    "cache.url": lambda values: _require(values.require_cache().url, "cache.url"),
    "cache.password": lambda values: values.require_cache().password,
}
"""Name in app.yaml -> value that a container gets from Secrets Manager: a URL contains the password."""


def stack_values(context: StackContext, hosts: pulumi.Input[str]) -> StackValues:
    """Returns the names of a stack; `hosts`: its allowed host names."""
    return StackValues(project=pulumi.get_project(), name=context.name, tier=context.settings.tier, hosts=hosts)


def cache_sidecar_values(password: SecretReference, url: SecretReference | None) -> CacheValues:
    """Returns the values of a Redis in the app's own task: on localhost, without TLS."""
    return CacheValues(
        host="127.0.0.1",
        port=str(constants.CACHE_PORT),
        ca=constants.SYSTEM_CA_PATH,
        tls="false",
        password=password,
        url=url,
    )


def cache_sidecar_url(password: pulumi.Input[str]) -> pulumi.Output[str]:
    """Returns the URL of a Redis in the app's own task; it contains the password."""
    return pulumi.Output.format("redis://:{0}@127.0.0.1:{1}/0", password, constants.CACHE_PORT)


DATABASE_URL_FORMATS: Mapping[str, str] = {
    "database.url": "postgresql://{0}:{1}@{2}:{3}/{4}?sslmode=verify-full&sslrootcert={5}",
    # SQLAlchemy passes no libpq parameters to asyncpg, which reads PGSSLMODE and PGSSLROOTCERT.
    "database.url.asyncpg": "postgresql+asyncpg://{0}:{1}@{2}:{3}/{4}",
    "database.url.psycopg": "postgresql+psycopg://{0}:{1}@{2}:{3}/{4}?sslmode=verify-full&sslrootcert={5}",
}
"""Name in app.yaml -> URL of user, password, host, port, database and the path of the certificate authority."""


def database_urls(
    requested: Collection[str],
    *,
    user: pulumi.Input[str],
    password: pulumi.Input[str],
    host: pulumi.Input[str],
    port: pulumi.Input[str | int],
    name: pulumi.Input[str],
) -> dict[str, pulumi.Output[str]]:
    """Returns name in app.yaml -> URL of the database; each URL contains the password.

    Each makes the client verify the server's certificate.
    """
    return {
        key: pulumi.Output.format(text, user, password, host, port, name, constants.DATABASE_CA_PATH)
        for key, text in DATABASE_URL_FORMATS.items()
        if key in requested
    }


def _require_database_url(values: InjectedValues, name: str) -> SecretReference:
    return _require(values.require_database().urls.get(name), name)


def _require(part: Part | None, name: str) -> Part:
    if part is None:
        raise LookupError(f"{name} is injected, and the stack does not have it")
    return part
