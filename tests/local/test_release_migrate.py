"""The migration as a task of the local ECS: told while it runs, judged at its end, never twice at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.release.aws_session import AwsSession
from slipway.release.standalone_task import StandaloneTask, run_exclusive_task
from tests.local.conftest import BASE_IMAGE, until

pytestmark = pytest.mark.e2e


class Database:
    """Migrations of a cluster of the test's own."""

    def __init__(self, aws: Callable[[str], Any], name: str) -> None:
        self.ecs, self.name = aws("ecs"), name
        self.cluster = self.ecs.create_cluster(clusterName=name)["cluster"]["clusterArn"]
        aws("logs").create_log_group(logGroupName=name)

    def container(self, name: str, program: str, **more: Any) -> dict[str, Any]:
        options = {"awslogs-group": self.name, "awslogs-region": "us-east-1", "awslogs-stream-prefix": "migrate"}
        return {
            "name": name,
            "image": BASE_IMAGE,
            "entryPoint": ["python3", "-u", "-c", program],
            "stopTimeout": 2,
            "logConfiguration": {"logDriver": "awslogs", "options": options},
            **more,
        }

    def migration(self, program: str, first: str = "", **more: Any) -> StandaloneTask:
        containers = [self.container("migrate", program)]
        if first:
            containers[0]["dependsOn"] = [{"containerName": "roles", "condition": "SUCCESS"}]
            containers.append(self.container("roles", first, essential=False))
        made = self.ecs.register_task_definition(
            family=self.name,
            containerDefinitions=containers,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
        )
        arn = made["taskDefinition"]["taskDefinitionArn"]
        return StandaloneTask(self.cluster, arn, {"subnets": ["subnet-1"]}, **more)

    def tasks(self) -> int:
        statuses = ("RUNNING", "STOPPED")
        return sum(
            len(self.ecs.list_tasks(cluster=self.cluster, desiredStatus=status)["taskArns"]) for status in statuses
        )


@pytest.fixture
def database(aws: Callable[[str], Any], request: pytest.FixtureRequest) -> Database:
    return Database(aws, f"migrate-{abs(hash(request.node.name))}")


@pytest.fixture
def said() -> list[str]:
    return []


def test_a_migration_tells_its_log_while_it_runs(database: Database, local: AwsSession) -> None:
    heard: list[tuple[float, str]] = []
    program = "import time; print('one'); time.sleep(4); print('two'); time.sleep(1)"
    run_exclusive_task(local, database.migration(program), lambda line: heard.append((time.monotonic(), line)))
    assert [line for _, line in heard] == ["one", "two"]
    assert heard[1][0] - heard[0][0] > 2, "not all at the end"


def test_a_migration_that_fails_says_why_with_its_last_lines(
    database: Database, local: AwsSession, said: list[str]
) -> None:
    program = "print('row 7 is in the way'); raise SystemExit(4)"
    with pytest.raises(SlipwayError, match=r"(?s)migrate exited with 4.*No service was changed.*row 7 is in the way"):
        run_exclusive_task(local, database.migration(program), said.append)


def test_the_container_that_fails_before_the_migration_is_the_one_that_is_named(
    database: Database, local: AwsSession, said: list[str]
) -> None:
    first = "print('no such owner'); raise SystemExit(5)"
    with pytest.raises(SlipwayError, match=r"(?s)roles exited with 5.*no such owner"):
        run_exclusive_task(local, database.migration("print('never')", first), said.append)


def test_a_migration_that_hangs_is_stopped_in_time(database: Database, local: AwsSession, said: list[str]) -> None:
    hangs = database.migration("import time; print('waiting for a lock'); time.sleep(600)", timeout=5)
    with pytest.raises(SlipwayError, match=r"(?s)did not end in 5 s.*waiting for a lock"):
        run_exclusive_task(local, hangs, said.append)
    assert database.ecs.list_tasks(cluster=database.cluster, desiredStatus="RUNNING")["taskArns"] == []


def test_the_same_migration_does_not_run_twice_at_once(database: Database, local: AwsSession, said: list[str]) -> None:
    migration = database.migration("import time; time.sleep(5)")
    first = threading.Thread(target=run_exclusive_task, args=(local, migration, lambda _: None))
    first.start()
    until(database.tasks)
    run_exclusive_task(local, migration, said.append)
    first.join()
    assert database.tasks() == 1
    assert "is running: following" in said[0]


def test_another_migration_waits_for_the_one_that_runs(database: Database, local: AwsSession, said: list[str]) -> None:
    old = database.migration("import time; time.sleep(5)")
    first = threading.Thread(target=run_exclusive_task, args=(local, old, lambda _: None))
    first.start()
    until(database.tasks)
    run_exclusive_task(local, database.migration("print('mine')"), said.append)
    assert said == ["Another migration is running: waiting for its end.", "mine"]
    first.join()
    assert database.tasks() == 2
