"""Previews at the edges of their rules: the longest name, the last priority, the very moment of their end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slipway.config import constants, names
from slipway.config.errors import SlipwayError
from slipway.previews import destroy, identity, orphans, preview_stacks, reap
from slipway.previews.base_environment import BaseEnvironment
from slipway.previews.create import PRIORITY_ATTEMPTS
from slipway.previews.expiry import decide_reaping
from slipway.previews.identity import StackSnapshot
from slipway.previews.orphans import OrphanedResource
from slipway.previews.preview_names import HASH_LENGTH, STACK_PREFIX, preview_stack_name
from slipway.previews.stack_tags import BASE_TAG, KIND_TAG, PREVIEW_KIND
from slipway.previews.ttl import is_expired
from tests.infra.test_release_kills import World

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NONE: Any = None


def test_a_preview_has_expired_at_the_moment_that_its_tag_says() -> None:
    assert is_expired(NOW.isoformat(), NOW)
    assert not is_expired(NOW.replace(second=1).isoformat(), NOW)


def test_the_longest_name_of_a_project_leaves_one_character_for_a_preview() -> None:
    longest = names.MAX_STACK_NAME_LENGTH - len(STACK_PREFIX) - HASH_LENGTH - 3
    assert len(preview_stack_name("Feature", "p" * longest)) == len(STACK_PREFIX) + 1 + 1 + HASH_LENGTH
    with pytest.raises(SlipwayError, match="is too long"):
        preview_stack_name("Feature", "p" * (longest + 1))


def test_after_the_last_priority_comes_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    last = constants.UNKNOWN_PREVIEW_RULE_PRIORITY - 1
    base = BaseEnvironment("dev", NONE, {"previews": {"domain": "preview.example.com"}})
    monkeypatch.setattr(names, "preview_rule_priority", lambda *_: last)
    taken: dict[int, list[str]] = {last: ["pr-9.preview.example.com"]}
    monkeypatch.setattr(BaseEnvironment, "_list_rules", lambda _: taken)
    assert base.find_rule_priority("pr-1") == 1
    taken[1] = []
    assert base.find_rule_priority("pr-1") == 2
    assert base.find_rule_priority("pr-9") == last


def test_an_update_gives_up_where_its_priority_is_taken_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World(monkeypatch, tmp_path)
    world.pulumi.up_fails = ["PriorityInUse"] * 9
    monkeypatch.setattr(BaseEnvironment, "is_priority_taken", lambda *_: True)
    with pytest.raises(SlipwayError, match="pulumi up"):
        world.create()
    ups = [command for command in world.pulumi.commands if command.startswith("up ")]
    assert len(ups) == PRIORITY_ATTEMPTS == 3


def test_what_is_only_tagged_as_a_preview_is_refused_and_what_is_neither_is_not_named() -> None:
    tagged = StackSnapshot("prod", {KIND_TAG: PREVIEW_KIND, BASE_TAG: "dev"})
    found = decide_reaping(
        [tagged, StackSnapshot("staging", {KIND_TAG: "environment"}), StackSnapshot("qa")], "dev", NOW
    )
    assert [(decision.stack, decision.action) for decision in found] == [("prod", "refuse")]


def test_reap_looks_at_every_environment_that_a_preview_names() -> None:
    tags: dict[str, Any] = {"pr-1": {BASE_TAG: "qa"}, "pr-2": None, "pr-3": {}, "pr-4": {BASE_TAG: "dev"}}
    engine: Any = SimpleNamespace(previews=lambda: list(tags), find_tags=tags.get)
    assert reap._list_base_environments(engine) == ["dev", "qa"]


DEFINITION = OrphanedResource("arn:aws:ecs:r:1:task-definition/web:3", True)
SERVICE = OrphanedResource("arn:aws:ecs:r:1:service/main/web", True)


@pytest.mark.parametrize("fix", [False, True])
def test_task_definitions_of_a_destroyed_preview_go_and_the_rest_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, fix: bool
) -> None:
    deleted: list[OrphanedResource] = []
    monkeypatch.setattr(orphans, "find_orphans", lambda *_: [DEFINITION, SERVICE])
    monkeypatch.setattr(orphans, "delete_orphans", lambda _, found: deleted.extend(found) or [])
    said: list[str] = []
    left, fixed = destroy._find_and_delete_orphans(NONE, "pr-1", said.append, fix=fix)
    assert (left, fixed) == (([], [SERVICE]) if fix else ([SERVICE], []))
    assert deleted == ([DEFINITION, SERVICE] if fix else [DEFINITION])
    assert said == [f"Leftover: {SERVICE.arn}"]


def test_only_secrets_of_the_environments_own_file_are_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(preview_stacks, "project_root", lambda: tmp_path)
    (tmp_path / "stacks").mkdir()
    for name in ("dev", "preview"):
        (tmp_path / "stacks" / f"Pulumi.{name}.yaml").touch()
    files = {
        "dev": {"secrets": {"DSN": {"secure": "v1:of-dev"}}, "zones": 2},
        "preview": {"secrets": {"DSN": "of-previews"}, "zones": 1},
    }
    monkeypatch.setattr(preview_stacks, "read_stack_config", lambda name: dict(files[name]))
    config = preview_stacks.build_preview_config("dev", {"kind": "preview"})
    assert config == {"slipway:secrets": {"DSN": "of-previews"}, "slipway:zones": 1, "slipway:kind": "preview"}


@pytest.fixture
def export() -> Callable[[dict[str, Any]], StackSnapshot]:
    """What is seen of a stack with this root resource."""

    def inspect(root: dict[str, Any]) -> StackSnapshot:
        state = {"deployment": {"resources": [{"type": "pulumi:pulumi:Stack", "urn": "root"} | root]}}
        engine: Any = SimpleNamespace(state=lambda _: state, tags=lambda _: {}, ask=lambda *_: "[]")
        return identity.inspect_stack(engine, "pr-1")

    return inspect


def test_a_previews_outputs_are_those_of_its_stack(export: Callable[[dict[str, Any]], StackSnapshot]) -> None:
    assert export({"outputs": {"url": "https://pr-1"}}).outputs == {"url": "https://pr-1"}
    assert export({}).outputs == {}


def test_on_this_machine_an_engine_that_was_killed_is_recovered_before_a_destroy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World(monkeypatch, tmp_path)
    world.create()
    recovered: list[str] = []
    local: Any = SimpleNamespace(recover_stack=lambda stack, _: recovered.append(stack))
    world.engine = preview_stacks.PulumiBackend("pulumi", {}, local)
    world.destroy()
    assert recovered == ["pr-1"]
    world.assert_nothing_left()
