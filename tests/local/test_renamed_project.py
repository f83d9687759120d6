"""A project that was renamed in Pulumi.yaml builds no second environment beside its first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway.config.errors import SlipwayError
from slipway_local import local_stack, ownership
from slipway_local.ownership import Owner


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(local_stack, "state_dir", lambda: tmp_path)
    monkeypatch.setattr(ownership, "project_name", lambda: "new")
    return tmp_path / ".pulumi" / "stacks"


def write_state(stacks: Path, project: str, resources: int) -> None:
    folder = stacks / project
    folder.mkdir(parents=True)
    latest = {"resources": [{"urn": "x"}] * resources} if resources else None
    (folder / "local.json").write_text(json.dumps({"checkpoint": {"latest": latest}}))


def test_a_deployed_stack_under_another_name_is_refused_with_both_names(state: Path) -> None:
    write_state(state, "old", 3)
    with pytest.raises(SlipwayError, match="was deployed as old") as refused:
        local_stack.ensure_not_renamed()
    assert "names the project new" in refused.value.message
    assert "Set name: old in Pulumi.yaml again" in refused.value.fix


@pytest.mark.parametrize(("project", "resources"), [("new", 3), ("old", 0)])
def test_the_same_project_and_an_empty_stack_are_fine(state: Path, project: str, resources: int) -> None:
    write_state(state, project, resources)
    local_stack.ensure_not_renamed()


def test_a_running_local_aws_of_this_clone_says_its_former_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "project_name", lambda: "new")
    monkeypatch.setattr(ownership.emulator, "read_recorded_emulator", lambda: None)
    mine = ownership.current_owner()
    monkeypatch.setattr(ownership, "read_owner", lambda _: Owner(mine.run_dir, "old", mine.stack))
    with pytest.raises(SlipwayError, match="deployed as old"):
        ownership.ensure_own_local_aws(4566)
    monkeypatch.setattr(ownership, "read_owner", lambda _: Owner("/elsewhere", "old", mine.stack))
    with pytest.raises(SlipwayError, match="belongs to /elsewhere"):
        ownership.ensure_own_local_aws(4566)
