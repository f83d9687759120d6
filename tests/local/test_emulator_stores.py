"""Databases and caches of the local AWS are kept as a managed service keeps them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import psutil
import pytest

from slipway_local.base_images import ensure_base_images
from slipway_local.docker_engine import ensure_docker
from slipway_local.emulator import process
from tests.local.conftest import until

pytestmark = pytest.mark.e2e
Aws = Callable[[str], Any]


class Database:
    """An RDS instance with a managed password, as the program asks for it."""

    def __init__(self, aws: Aws, engine: Any, name: str, wait: bool = True, new: bool = True, **more: Any) -> None:
        self.aws = aws
        self.engine = engine
        self.name = name
        if new:
            self._make(**more)
        if wait:
            until(lambda: self.about()["DBInstanceStatus"] == "available")

    def _make(self, **more: Any) -> None:
        self.aws("rds").create_db_instance(
            DBInstanceIdentifier=self.name,
            DBInstanceClass="db.t4g.micro",
            Engine="postgres",
            EngineVersion="15",
            AllocatedStorage=20,
            DBName="app",
            MasterUsername="owner",
            ManageMasterUserPassword=True,
            **more,
        )

    def about(self) -> Any:
        return self.aws("rds").describe_db_instances(DBInstanceIdentifier=self.name)["DBInstances"][0]

    @property
    def container(self) -> Any:
        """By the name that a person sees in `docker ps`: the database's own, and the local AWS's port."""
        port = self.about()["Endpoint"]["Port"]
        (found,) = [c for c in self.engine.containers.list(ignore_removed=True) if c.name.startswith(f"{self.name}-")]
        assert str(port) in json.dumps(found.ports)
        return found

    def sql(self, statement: str, user: str = "owner", password: str = "", tls: str = "require") -> Any:
        secret = self.aws("secretsmanager").get_secret_value(SecretId=self.about()["MasterUserSecret"]["SecretArn"])
        word = password or json.loads(secret["SecretString"])["password"]

        async def ask() -> Any:
            port = self.about()["Endpoint"]["Port"]
            connection = await asyncpg.connect(
                host="127.0.0.1", port=port, user=user, password=word, database="app", ssl=tls
            )
            try:
                return await connection.fetch(statement)
            finally:
                await connection.close()

        def asked() -> Any:
            try:
                return [asyncio.run(ask())]
            except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
                return None  # it is starting

        return until(asked)[0]

    def volumes(self) -> list[str]:
        return [mount["Name"] for mount in self.container.attrs["Mounts"] if mount["Type"] == "volume"]


@pytest.fixture(scope="module")
def images(emulator: process.Emulator) -> None:
    ensure_base_images(["postgres:15-alpine", "redis:7-alpine"])


@pytest.fixture
def database(images: None, aws: Aws, engine: Any) -> Iterator[Database]:
    made = Database(aws, engine, "shop-local-database-0123abc")
    made.sql("CREATE ROLE app LOGIN PASSWORD 'of the app'")
    made.sql("CREATE TABLE item AS SELECT 'Lighthouse' AS title")
    made.sql("GRANT SELECT ON item TO app")
    yield made
    for instance in aws("rds").describe_db_instances()["DBInstances"]:
        aws("rds").delete_db_instance(DBInstanceIdentifier=instance["DBInstanceIdentifier"], SkipFinalSnapshot=True)


def test_a_database_keeps_data_and_roles_over_a_restart_of_its_container(database: Database) -> None:
    database.container.restart()
    assert database.sql("SELECT title FROM item", "app", "of the app")[0]["title"] == "Lighthouse"


def test_a_database_takes_no_connection_without_tls_unless_its_parameter_group_says_so(
    database: Database, aws: Aws, engine: Any
) -> None:
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="no encryption"):
        database.sql("SELECT 1", "app", "of the app", tls="disable")
    aws("rds").create_db_parameter_group(
        DBParameterGroupName="plain", DBParameterGroupFamily="postgres15", Description="plain"
    )
    off = {"ParameterName": "rds.force_ssl", "ParameterValue": "0", "ApplyMethod": "immediate"}
    aws("rds").modify_db_parameter_group(DBParameterGroupName="plain", Parameters=[off])
    plain = Database(aws, engine, "shop-local-database-91a1234", DBParameterGroupName="plain")
    assert plain.sql("SELECT 1 AS one", tls="disable")[0]["one"] == 1
    assert plain.sql("SELECT 1 AS one")[0]["one"] == 1


def test_a_database_that_dies_as_soon_as_it_answers_keeps_what_was_written(images: None, aws: Aws, engine: Any) -> None:
    database = Database(aws, engine, "shop-local-database-5eed123", wait=False)
    database.sql("CREATE TABLE item AS SELECT 'Lighthouse' AS title")
    os.kill(database.container.attrs["State"]["Pid"], signal.SIGKILL)
    try:
        assert database.sql("SELECT title FROM item")[0]["title"] == "Lighthouse"
    finally:
        aws("rds").delete_db_instance(DBInstanceIdentifier=database.name, SkipFinalSnapshot=True)


def test_a_database_that_dies_comes_back_by_itself_with_its_data(database: Database) -> None:
    """As after a restart of the Docker engine: by its restart policy, the same."""
    container = database.container
    os.kill(container.attrs["State"]["Pid"], signal.SIGKILL)
    until(lambda: (container.reload(), container.attrs["RestartCount"] and container.status == "running")[1])
    assert database.sql("SELECT title FROM item", "app", "of the app")[0]["title"] == "Lighthouse"


def test_the_next_local_aws_takes_the_data_over_and_a_deleted_database_leaves_none(
    database: Database, emulator: process.Emulator, aws: Aws, engine: Any
) -> None:
    volumes = database.volumes()
    killed = psutil.Process(process.read_recorded_emulator().pid)  # type: ignore[union-attr]  # it runs
    killed.kill()
    killed.wait(10)
    process.start_emulator(emulator.port, ensure_docker().bridge_address)
    after = Database(aws, engine, "shop-local-database-cafe123")
    assert after.sql("SELECT title FROM item")[0]["title"] == "Lighthouse"  # with the new owner's password
    assert after.sql("SELECT title FROM item", "app", "of the app")
    assert after.volumes() == volumes
    aws("rds").delete_db_instance(DBInstanceIdentifier=after.name, SkipFinalSnapshot=True)
    assert [v.name for v in engine.volumes.list() if v.name in volumes] == []


def test_a_snapshot_holds_what_was_in_the_database_and_becomes_another_one(
    database: Database, aws: Aws, engine: Any, emulator: process.Emulator
) -> None:
    aws("rds").create_db_snapshot(DBInstanceIdentifier=database.name, DBSnapshotIdentifier="before")
    assert engine.volumes.get(f"before-{emulator.port}-snapshot")
    database.sql("DROP TABLE item")
    aws("rds").restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier="shop-local-database-4567def",
        DBSnapshotIdentifier="before",
        DBInstanceClass="db.t4g.micro",
    )
    restored = Database(aws, engine, "shop-local-database-4567def", new=False)
    assert restored.sql("SELECT title FROM item")[0]["title"] == "Lighthouse"  # by the owner, with a new password
    assert restored.sql("SELECT title FROM item", "app", "of the app")[0]["title"] == "Lighthouse"
    with pytest.raises(asyncpg.UndefinedTableError):
        database.sql("SELECT title FROM item")
    aws("rds").delete_db_snapshot(DBSnapshotIdentifier="before")
    assert [v.name for v in engine.volumes.list() if v.name == f"before-{emulator.port}-snapshot"] == []


def test_two_databases_of_one_name_do_not_share_their_data(database: Database, aws: Aws, engine: Any) -> None:
    """A replacement is there before the old one is gone."""
    other = Database(aws, engine, "shop-local-database-beef123")
    assert not set(other.volumes()) & set(database.volumes())
    assert other.sql("SELECT count(*) FROM pg_tables WHERE tablename = 'item'")[0]["count"] == 0


def test_a_cache_that_starts_again_knows_the_token_that_it_was_given_last(images: None, aws: Aws, engine: Any) -> None:
    cache = aws("elasticache")
    cache.create_replication_group(
        ReplicationGroupId="shop-local-cache",
        ReplicationGroupDescription="-",
        Engine="redis",
        EngineVersion="7.0",
        CacheNodeType="cache.t4g.micro",
        TransitEncryptionEnabled=True,
        AuthToken="the-first-token-of-all",
    )
    for strategy in ("ROTATE", "SET"):
        cache.modify_replication_group(
            ReplicationGroupId="shop-local-cache",
            AuthToken="the-second-token-of-all",
            AuthTokenUpdateStrategy=strategy,
            ApplyImmediately=True,
        )
    (container,) = [c for c in engine.containers.list(ignore_removed=True) if c.name.startswith("shop-local-cache")]

    def told(token: str) -> str:
        ask = ["redis-cli", "--tls", "--insecure", "-a", token, "--no-auth-warning", "ping"]
        done = subprocess.run(["docker", "exec", container.id, *ask], capture_output=True, text=True)
        return done.stdout.strip()

    assert until(lambda: told("the-second-token-of-all") == "PONG")
    container.restart()
    assert until(lambda: told("the-second-token-of-all") == "PONG")
    assert told("the-first-token-of-all") != "PONG"
    cache.delete_replication_group(ReplicationGroupId="shop-local-cache")
