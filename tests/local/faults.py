"""What goes wrong with an environment, provoked: each is a context, and at its end all is well again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.local.clone import Clone, docker_lines

PSQL = 'psql --quiet --host /var/run/postgresql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --command'
SLEEP = "select pg_sleep(900)"


@contextmanager
def cache_away(clone: Clone) -> Iterator[None]:
    """Redis is stopped."""
    cache = docker_lines("ps", "--quiet", *clone.store("elasticache"))
    docker_lines("stop", *cache)
    try:
        yield
    finally:
        docker_lines("start", *cache)


@contextmanager
def process_stopped(clone: Clone, cluster: str, service: str) -> Iterator[None]:
    """A service runs no task."""
    ecs = clone.aws("ecs")
    ecs.update_service(cluster=cluster, service=service, desiredCount=0)
    try:
        yield
    finally:
        ecs.update_service(cluster=cluster, service=service, desiredCount=1)


@contextmanager
def database_full(clone: Clone, connections: int = 88) -> Iterator[None]:
    """Of the hundred connections that Postgres allows, as many are taken."""
    sessions = _begin(clone, f'for n in $(seq {connections}); do {PSQL} "{SLEEP}" >/dev/null & done; wait')
    try:
        yield
    finally:
        _sql(clone, f"select count(pg_terminate_backend(pid)) from pg_stat_activity where query = '{SLEEP}'")  # noqa: S608
        sessions.wait(60)


@contextmanager
def without_table(clone: Clone, table: str) -> Iterator[None]:
    """What asks for a table fails."""
    _sql(clone, f"alter table {table} rename to {table}_away")
    try:
        yield
    finally:
        _sql(clone, f"alter table {table}_away rename to {table}")


@contextmanager
def slow_table(clone: Clone, table: str) -> Iterator[None]:
    """A table is locked again and again, for 1.4 s: longer than an answer may take, shorter than the app waits."""
    lock = f"begin; lock table {table} in access exclusive mode; select pg_sleep(1.4); commit"
    locking = _begin(clone, f'touch /tmp/slow; while [ -e /tmp/slow ]; do {PSQL} "{lock}" >/dev/null; sleep 1; done')
    try:
        yield
    finally:
        docker_lines("exec", _database(clone), "rm", "/tmp/slow")  # noqa: S108 - in the database's container
        locking.wait(60)


def _database(clone: Clone) -> str:
    (container,) = docker_lines("ps", "--quiet", *clone.store("rds"))
    return container


def _sql(clone: Clone, statement: str) -> None:
    docker_lines("exec", _database(clone), "sh", "-c", f'{PSQL} "{statement}"')


def _begin(clone: Clone, script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["docker", "exec", _database(clone), "sh", "-c", script], stderr=subprocess.DEVNULL)
