"""An update to this version deletes and replaces nothing that holds data, of a stack of each version before."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.config.stack_config import read_stack_config
from slipway.graph.program_run import ResourceState
from tests.infra.program import APP_FILE
from tests.infra.test_snapshot import EVERYTHING
from tests.infra.version_record import (
    FOLDER,
    REPLACED_BY,
    STACK,
    losses,
    name_states,
    own_urns,
    run_in_project,
    write_record,
)

RECORD_VERSION = os.environ.get("SLIPWAY_RECORD_VERSION", "")
VERSIONS = sorted(FOLDER.glob("*.json"))


@pytest.mark.skipif(not RECORD_VERSION, reason="SLIPWAY_RECORD_VERSION names no version that is to be released")
def test_a_version_that_is_to_be_released_is_recorded(tmp_path: Path) -> None:
    config = read_stack_config(STACK) | EVERYTHING
    del config["databaseRestoreFrom"]
    app = yaml.safe_load(APP_FILE.read_text()) | {"source": "backend", "previewSeed": "seed"}
    write_record(FOLDER / f"{RECORD_VERSION}.json", config, app, run_in_project(tmp_path, config, app))


@pytest.fixture(scope="module", params=VERSIONS, ids=[file.stem for file in VERSIONS])
def upgrade(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, list[ResourceState]]:
    """What a version has recorded, and the resources that today's program makes of the same stack."""
    former = json.loads(request.param.read_text())
    return former, run_in_project(tmp_path_factory.mktemp("stack"), former["config"], former["app"])


def test_nothing_that_holds_data_is_deleted_or_replaced(upgrade: tuple[Any, list[ResourceState]]) -> None:
    former, states = upgrade
    assert {resource["type"] for resource in former["resources"].values()} == set(REPLACED_BY)
    assert list(losses(former["resources"], states)) == []


def renamed(states: list[ResourceState], aliases: list[dict[str, str]]) -> list[ResourceState]:
    """With another type of the database's component, as a change of the program would give it."""
    texts = json.dumps(states).replace("slipway:rds:RdsDatabase", "slipway:rds:Postgres")
    changed: list[ResourceState] = json.loads(texts)
    for state in changed:
        if state["type"] == "slipway:rds:Postgres":
            state["aliases"] = aliases
    return changed


def test_what_would_lose_data_is_named(upgrade: tuple[Any, list[ResourceState]]) -> None:
    former, states = upgrade
    (urn,) = (urn for urn, made in former["resources"].items() if made["type"] == "aws:rds/instance:Instance")
    assert any(f"{urn} is deleted" in loss for loss in losses(former["resources"], renamed(states, [])))
    aliased = renamed(states, [{"type": "slipway:rds:RdsDatabase"}])
    assert list(losses(former["resources"], aliased)) == []
    database = own_urns(states)[urn]
    changed = [
        state | {"inputs": state["inputs"] | {"dbName": "other"}} if state is database else state for state in states
    ]
    (loss,) = losses(former["resources"], changed)
    assert loss.startswith(f"{urn} is replaced: dbName was 'slipway_prod'")
    generated = [state | {"options": {**state["options"], "ignoreChanges": []}} for state in states]
    assert any("no longer ignores changes of secretString" in loss for loss in losses(former["resources"], generated))


def test_an_alias_of_the_program_is_seen(tmp_path: Path) -> None:
    """By its type, its name, its parent and its whole URN: the engine adds those of the parents."""
    main = """
import pulumi

class Box(pulumi.ComponentResource):
    def __init__(self, name, **options):
        super().__init__("test:box:Box", name, opts=pulumi.ResourceOptions(**options))

outer = Box("outer", aliases=[pulumi.Alias(type_="test:box:Crate")])
Box("inner", parent=outer, aliases=[pulumi.Alias(name="heart"), pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)])
Box("whole", aliases=["urn:pulumi:prod::slipway::test:box:Other::whole"])
"""
    (tmp_path / "__main__.py").write_text(main)
    states = run_in_project(tmp_path / "project", {"tier": "dev"}, {}, tmp_path / "__main__.py")
    urns = {urn.removeprefix("urn:pulumi:prod::slipway::") for urns, _ in name_states(states) for urn in urns}
    assert urns >= {
        "test:box:Box$test:box:Box::inner",
        "test:box:Crate$test:box:Box::inner",
        "test:box:Crate$test:box:Box::heart",
        "test:box:Box::inner",
        "test:box:Other::whole",
    }
