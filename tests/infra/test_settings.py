"""A wrong setting is named with its key, its value and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.errors import SlipwayError
from infra.settings import FARGATE_MEMORY, Settings, fargate_memory

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
    ],
)
def test_a_wrong_value_is_explained(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SlipwayError) as caught:
        Settings.load(values(**changes), "stacks/Pulumi.local.yaml")
    for word in [*words, "stacks/Pulumi.local.yaml"]:
        assert word in str(caught.value)


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
