"""A wrong setting is named with its key, its value and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.errors import SlipwayError
from infra.settings import Settings
from infra.sizes import FARGATE_MEMORY, fargate_memory, max_connections

ROOT = Path(__file__).resolve().parents[2]
STACKS = sorted(path.name[7:-5] for path in (ROOT / "stacks").glob("Pulumi.*.yaml"))


def values(**changes: Any) -> dict[str, Any]:
    given = Settings.from_files("local").model_dump(by_alias=True)
    return given | changes


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_file_is_valid(stack: str) -> None:
    assert Settings.from_files(stack).environment == stack


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"webMemory": 700}, ["webMemory is 700", "512, 1024, 2048"]),
        ({"webCpu": 300}, ["webCpu is 300", "256, 512, 1024"]),
        ({"webCpu": 4096, "webMemory": 4096}, ["webMemory is 4096", "8192"]),
        ({"vpcCidr": "10.0.0.0/8"}, ["vpcCidr", "10.0.0.0/8", "/16 to /20"]),
        ({"vpcCidr": "8.8.0.0/16"}, ["vpcCidr", "private range"]),
        ({"zones": 1}, ["zones", "1", "2"]),
        ({"logRetentionDays": 2}, ["logRetentionDays", "1, 3, 5"]),
        ({"natGateways": "two"}, ["natGateways", "two", "none"]),
        ({"webTask": 2}, ["webTask", "no such setting"]),
        ({"domain": "api.acme.test"}, ["domain and hostedZoneId go together"]),
        ({"domain": "https://acme.test"}, ["domain", "https://acme.test"]),
        ({"hostedZoneId": "acme.test"}, ["hostedZoneId", "acme.test"]),
        ({"alarmEmail": "ops"}, ["alarmEmail", "ops"]),
        ({"githubRepository": "https://github.com/acme/shop"}, ["githubRepository"]),
        ({"databaseVersion": "17.4"}, ["databaseVersion", "17.4"]),
        ({"cleanupSchedule": "every day"}, ["cleanupSchedule", "every day"]),
        ({"monthlyBudgetUsd": -1}, ["monthlyBudgetUsd", "-1"]),
        ({"containerInsights": False, "workerMaxTasks": 2}, ["containerInsights false", "workerMaxTasks to 1"]),
        ({"workerTasks": 0, "workerMaxTasks": 2}, ["workerTasks is 0", "set both to 0"]),
        ({"webMaxTasks": 1}, ["webMaxTasks is 1", "at least webTasks, 2"]),
    ],
)
def test_a_wrong_value_is_explained(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SlipwayError) as caught:
        Settings.load(values(**changes), "stacks/Pulumi.local.yaml")
    for word in [*words, "stacks/Pulumi.local.yaml"]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"domain": "", "hostedZoneId": ""}, ["domain is empty", "TLS"]),
        ({"waf": False}, ["waf", "firewall"]),
        ({"containerInsights": False, "workerMaxTasks": 2}, ["containerInsights", "watched"]),
        ({"alarmEmail": ""}, ["alarmEmail"]),
        ({"databaseFinalSnapshot": False}, ["databaseFinalSnapshot"]),
        ({"natGateways": "one"}, ["natGateways"]),
        ({"databaseMultiAz": False, "cacheNodes": 1}, ["databaseMultiAz", "cacheNodes"]),
    ],
)
def test_production_refuses_what_it_must_not_be(changes: dict[str, Any], words: list[str]) -> None:
    given = Settings.from_files("prod").model_dump(by_alias=True) | changes
    with pytest.raises(SlipwayError) as caught:
        Settings.load(given, "stacks/Pulumi.prod.yaml")
    for word in words:
        assert word in str(caught.value)


def test_tasks_need_a_way_to_the_registry() -> None:
    given = Settings.from_files("dev").model_dump(by_alias=True) | {"natGateways": "none"}
    with pytest.raises(SlipwayError, match="interfaceEndpoints to true"):
        Settings.load(given, "stacks/Pulumi.dev.yaml")
    assert Settings.load(given | {"interfaceEndpoints": True}, "stacks/Pulumi.dev.yaml").nat_gateways == "none"


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(
    ("key", "wrong"),
    [("webMemory", 700), ("zones", 1), ("databasePoolSize", 100), ("databaseClass", "db.x9"), ("logRetentionDays", 2)],
)
def test_a_botched_setting_of_any_stack_is_refused_with_its_key(stack: str, key: str, wrong: Any) -> None:
    given = Settings.from_files(stack).model_dump(by_alias=True) | {key: wrong}
    with pytest.raises(SlipwayError, match=rf"slipway:{key} is .*{wrong}"):
        Settings.load(given, f"stacks/Pulumi.{stack}.yaml")


def test_placeholders_are_told_from_real_values() -> None:
    prod = Settings.from_files("prod")
    assert prod.placeholders() == ["domain", "alarmEmail"]
    real = prod.model_copy(update={"domain": "api.acme.test", "alarm_email": "ops@notexample.com"})
    assert real.placeholders() == []


def test_a_missing_value_is_named() -> None:
    given = values()
    del given["environment"]
    with pytest.raises(SlipwayError, match="environment"):
        Settings.load(given, "stacks/Pulumi.local.yaml")


def test_an_unknown_stack_lists_those_that_there_are() -> None:
    with pytest.raises(SlipwayError, match="local"):
        Settings.from_files("nowhere")


def test_fargate_sizes_are_those_of_the_documentation() -> None:
    assert fargate_memory(256) == [512, 1024, 2048]
    assert fargate_memory(1024)[0] == 2048
    assert fargate_memory(1024)[-1] == 8192
    assert fargate_memory(999) == []
    assert all(sizes[0] >= cpu * 2 for cpu, sizes in FARGATE_MEMORY.items())


@pytest.mark.parametrize("repository", ["", "acme/shop", "acme/shop.api", "acme@123/shop@456"])
def test_a_repository_is_named_as_githubs_tokens_name_it(repository: str) -> None:
    assert Settings.load(values(githubRepository=repository), "x").github_repository == repository


def test_connections_are_fewer_than_the_memory_alone_would_allow() -> None:
    """What people see on RDS: about 80 on a micro, 400 on a medium."""
    assert (max_connections("db.t4g.micro"), max_connections("db.t4g.medium")) == (84, 422)
