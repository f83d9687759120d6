"""The task that creates and drops previews' databases: where it runs, and its environment."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.config import constants
from slipway.release import preview_database
from slipway.release.preview_database import PreviewDatabaseServer
from slipway.release.standalone_task import StandaloneTask
from tests.infra.recorder import FOUNDATION

AWS: Any = None


def outputs(**network: Any) -> dict[str, Any]:
    found = FOUNDATION.to_output()
    return {**found, "network": {**found["network"], **network}}


def server_of(environment_outputs: dict[str, Any]) -> PreviewDatabaseServer:
    server = PreviewDatabaseServer.of(environment_outputs)
    assert server is not None
    return server


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[StandaloneTask]:
    """The tasks that would run."""
    ran: list[StandaloneTask] = []
    monkeypatch.setattr(preview_database, "run_concurrent_task", lambda aws, task, say: ran.append(task) or "the task")
    return ran


def test_the_task_runs_in_the_subnets_of_the_environments_tasks() -> None:
    own = outputs()
    assert server_of(own) == PreviewDatabaseServer(
        own["cluster"]["arn"],
        own["previews"]["database_task"],
        own["network"]["private_subnet_ids"],
        own["previews"]["security_group_id"],
    )
    public = server_of(outputs(has_public_tasks=True))
    assert (public.subnets, public.assign_public_ip) == (own["network"]["public_subnet_ids"], True)
    assert own["network"]["public_subnet_ids"] != own["network"]["private_subnet_ids"]


def test_an_environment_of_an_earlier_version_has_private_tasks_and_one_without_a_database_no_task() -> None:
    earlier = outputs()
    earlier["network"].pop("has_public_tasks", None)
    assert not server_of(earlier).assign_public_ip
    without = outputs()
    without["previews"] = {**without["previews"], "database_task": ""}
    assert PreviewDatabaseServer.of(without) is None


@pytest.mark.parametrize("is_public", [False, True])
def test_a_database_is_created_with_a_verifier_and_never_with_a_password(
    tasks: list[StandaloneTask], is_public: bool
) -> None:
    server = PreviewDatabaseServer("arn:cluster", "family", ["subnet"], "group", is_public)
    preview_database.create_database(AWS, server, "pr-1", "SCRAM", "template", print)
    (task,) = tasks
    assert (task.cluster, task.task_definition) == ("arn:cluster", "family")
    assert task.network == {"subnets": ["subnet"], "securityGroups": ["group"], "assignPublicIp": is_public}
    assert task.environment == {
        "database": {
            "ACTION": "make",
            "NAME": "preview_pr_1",
            "VERIFIER": "SCRAM",
            "CONNECTIONS": str(constants.CONNECTIONS_PER_PREVIEW),
            "TEMPLATE": "template",
        }
    }
    assert task.subject == "Database: make preview_pr_1"


def test_only_the_database_that_is_named_is_dropped(tasks: list[StandaloneTask]) -> None:
    preview_database.drop_database(AWS, server_of(outputs()), "preview_pr_1", print)
    assert [task.environment for task in tasks] == [{"database": {"ACTION": "drop", "NAME": "preview_pr_1"}}]


def test_databases_are_read_from_the_tasks_log_and_other_lines_are_none(
    tasks: list[StandaloneTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lines(aws: Any, task: Any, container: str, limit: int) -> list[str]:
        assert (task, container) == ("the task", "database")
        assert limit >= 1000  # as many previews as there may be
        return ["NOTICE: connected", "database preview_pr_1", "database preview_pr_2 ", "2 databases"]

    monkeypatch.setattr(preview_database, "read_last_lines", lines)
    found = preview_database.list_databases(AWS, server_of(outputs()), print)
    assert found == ["preview_pr_1", "preview_pr_2"]
    assert [task.environment for task in tasks] == [{"database": {"ACTION": "list"}}]
    assert tasks[0].subject == "Database: list"
