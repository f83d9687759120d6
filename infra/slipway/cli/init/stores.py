"""Detects the stores that an app uses: Postgres, Redis, SQS, S3, and others that the kit does not create."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from slipway.cli.init.packages import Packages
from slipway.cli.init.sources import Module

POSTGRES_DRIVERS = ("asyncpg", "psycopg", "psycopg-binary", "psycopg2", "psycopg2-binary", "aiopg", "pg8000")
ORMS = ("sqlmodel", "sqlalchemy", "tortoise-orm", "databases", "ormar", "piccolo", "peewee", "pony")
REDIS_IMPORTS = {"redis", "aioredis", "valkey", "coredis", "arq", "fastapi_limiter"}
WITHOUT_STORE = {
    "pymysql": "MySQL",
    "aiomysql": "MySQL",
    "asyncmy": "MySQL",
    "mysqlclient": "MySQL",
    "mysql-connector-python": "MySQL",
    "motor": "MongoDB",
    "pymongo": "MongoDB",
    "beanie": "MongoDB",
    "aio-pika": "RabbitMQ",
    "pika": "RabbitMQ",
    "aiokafka": "Kafka",
    "confluent-kafka": "Kafka",
    "elasticsearch": "Elasticsearch",
    "opensearch-py": "OpenSearch",
    "pymemcache": "Memcached",
}
"""Package -> its service, which the kit does not create."""
READS = {"get_object", "download_file", "download_fileobj", "generate_presigned_url", "head_object", "list_objects_v2"}
WRITES = {"put_object", "upload_file", "upload_fileobj", "create_multipart_upload", "delete_object"}


@dataclass(frozen=True)
class Stores:
    """The data stores of an app."""

    orm: str
    driver: str
    """The Postgres driver: asyncpg, psycopg, psycopg2 ...; empty for none."""
    redis: bool
    sqs: bool
    s3: bool
    s3_reads_only: bool
    others: tuple[str, ...]
    """Stores that the kit does not create."""
    sqlite: bool
    """Whether SQLite is the only database in the sources."""


def find_stores(modules: list[Module], packages: Packages) -> Stores:
    """Returns the stores that a program uses, by its packages, imports and AWS clients."""
    imported = {name.lstrip(".").partition(".")[0] for module in modules for name in module.imports}
    driver = packages.any_of(*POSTGRES_DRIVERS) or next((d for d in POSTGRES_DRIVERS if d in imported), "")
    orm = packages.any_of(*ORMS) or next((name for name in ORMS if name.replace("-orm", "") in imported), "")
    clients = {client for module in modules for client in _aws_clients(module)}
    texts = [text for module in modules for text in _texts(module)]
    with_redis = bool(REDIS_IMPORTS & imported) or "celery[redis]" in packages.extras
    with_redis = with_redis or any(text.startswith(("redis://", "rediss://")) for text in texts)
    calls = {
        node.func.attr
        for module in modules
        for node in module.nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    return Stores(
        orm=orm,
        driver=driver.replace("-binary", ""),
        redis=with_redis,
        sqs="sqs" in clients or "celery[sqs]" in packages.extras or any(text.startswith("sqs://") for text in texts),
        s3="s3" in clients or "s3fs" in imported,
        s3_reads_only=bool(READS & calls) and not WRITES & calls,
        others=tuple(dict.fromkeys(WITHOUT_STORE[name] for name in sorted(packages.names) if name in WITHOUT_STORE)),
        sqlite=bool(orm) and not driver and any(text.startswith("sqlite") for text in texts),
    )


def _texts(module: Module) -> list[str]:
    constants = (node.value for node in module.nodes if isinstance(node, ast.Constant))
    return [value for value in constants if isinstance(value, str)]


def _aws_clients(module: Module) -> list[str]:
    """Returns the services of calls like `boto3.client("s3")` and `session.resource("s3")`."""
    services = []
    for node in module.nodes:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr in ("client", "resource", "create_client", "Client", "Resource") and node.args:
            service = module.literal(node.args[0])
            services += [service] if isinstance(service, str) else []
    return services
