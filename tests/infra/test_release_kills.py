"""Commands that are killed after any call of the engine or of AWS, and run again: nothing is left, none is stuck."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.config import names
from slipway.config.errors import SlipwayError
from slipway.previews import create, preview_stacks
from slipway.previews.base_environment import BaseEnvironment
from slipway.previews.create import PreviewRequest, create_or_update_preview
from slipway.previews.destroy import DestroyResult, destroy_preview
from slipway.previews.preview_stacks import PulumiBackend
from slipway.previews.stack_tags import BASE_TAG, EXPIRES_TAG, KIND_TAG, NAME_TAG
from slipway.release import deployed_stack, deployments, preview_database, rollback
from slipway.release.deployed_stack import DeployedStack
from slipway.release.deployments import PastDeployment
from tests.infra.fake_pulumi import CLUSTER, TYPES, FakeAws, FakePulumi, FakeStack, Killed, Killer
from tests.infra.recorder import FOUNDATION

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MOST_CALLS = 200


class World:
    """A backend, an account, and the environment dev."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: int = 5) -> None:
        self.killer = Killer()
        self.aws = FakeAws(self.killer)
        self.pulumi = FakePulumi(self.killer, self.aws, {"dev": FakeStack()})
        monkeypatch.setenv("SLIPWAY_RUN_DIR", str(tmp_path))
        monkeypatch.delenv(create.DATABASE_URL_VARIABLE, raising=False)
        for module in (preview_stacks, deployed_stack):
            monkeypatch.setattr(module, "run_pulumi", self.pulumi.ask)
        for module in (preview_stacks, rollback):
            monkeypatch.setattr(module, "run_pulumi_attached", self.pulumi.attached)
        monkeypatch.setattr(preview_database, "drop_database", self._drop)
        monkeypatch.setattr(create, "estimate_daily_cost", lambda _: 0.1)
        monkeypatch.setattr(create, "build_preview_config", _config)  # which reads two files each time
        outputs = FOUNDATION.to_output()
        outputs["previews"]["limit"] = limit
        aws: Any = self.aws
        self.base = BaseEnvironment("dev", aws, outputs)
        self.aws.resources[outputs["previews"]["database_task"]] = {}
        self.clean = dict(self.aws.resources)
        self.engine = PulumiBackend("pulumi", {})

    def _drop(self, aws: Any, server: Any, name: str, say: Any) -> None:
        self.aws.databases = {
            stack for stack in self.aws.databases if preview_database.preview_database_name(stack) != name
        }
        self.killer.tick("drop database")

    def create(self, name: str = "pr-1", image: str = "sha256:1") -> dict[str, Any]:
        request = PreviewRequest(name, name, "3d", image)
        return create_or_update_preview(self.engine, self.base, request, NOW, lambda _: None)

    def destroy(self, stack: str = "pr-1") -> DestroyResult:
        base = replace(self.base)
        return destroy_preview(self.engine, base, stack, lambda _: None, fix=True)

    def assert_serves(self, stack: str = "pr-1") -> None:
        about = self.pulumi.stacks[stack]
        assert about.tags[KIND_TAG] == "preview"
        assert about.tags[BASE_TAG] == "dev"
        assert {each["type"] for each in about.resources} == {*TYPES}
        assert stack in self.aws.databases

    def assert_nothing_left(self) -> None:
        assert list(self.pulumi.stacks) == ["dev"]
        assert self.aws.resources == self.clean
        assert (self.aws.rules, self.aws.databases) == ({}, set())


def kill_after_each_call(
    make: Callable[[], Any], prepare: Callable[[Any], None], command: Callable[[Any], Any]
) -> list[tuple[Any, str]]:
    """A world for each call of `command`, killed after it."""
    killed: list[tuple[Any, str]] = []
    for number in range(1, MOST_CALLS):
        world = make()
        prepare(world)
        world.killer.calls, world.killer.after = 0, number
        try:
            command(world)
        except Killed as call:
            world.killer.after = 0
            killed.append((world, str(call)))
        else:
            return killed
    raise AssertionError(f"more than {MOST_CALLS} calls")


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], World]:
    return lambda: World(monkeypatch, tmp_path)


def enter(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules call the engine of this world."""
    for module in (preview_stacks, deployed_stack):
        monkeypatch.setattr(module, "run_pulumi", world.pulumi.ask)
    for module in (preview_stacks, rollback):
        monkeypatch.setattr(module, "run_pulumi_attached", world.pulumi.attached)
    monkeypatch.setattr(preview_database, "drop_database", world._drop)


COMMANDS: dict[str, tuple[Callable[[World], Any], Callable[[World], Any]]] = {
    "create": (lambda world: None, World.create),
    "update": (World.create, lambda world: world.create(image="sha256:2")),
    "destroy": (World.create, World.destroy),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_preview_command_that_was_killed_after_any_call_goes_on(
    make: Callable[[], World], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    prepare, command = COMMANDS[name]
    worlds = kill_after_each_call(make, prepare, command)
    assert len(worlds) > 12
    for world, call in worlds:
        enter(world, monkeypatch)
        try:
            command(world)
            if name != "destroy":
                world.assert_serves()
                world.destroy()
            world.assert_nothing_left()
        except (SlipwayError, AssertionError) as error:
            raise AssertionError(f"killed after {call}: {error}") from error


@pytest.mark.parametrize("name", ["create", "update"])
def test_after_any_kill_the_preview_can_be_destroyed_at_once(
    make: Callable[[], World], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    prepare, command = COMMANDS[name]
    for world, call in kill_after_each_call(make, prepare, command):
        enter(world, monkeypatch)
        try:
            world.destroy()
            world.assert_nothing_left()
        except (SlipwayError, AssertionError) as error:
            raise AssertionError(f"killed after {call}: {error}") from error


def test_a_destroy_that_was_killed_lets_the_preview_be_created_anew(
    make: Callable[[], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    for world, call in kill_after_each_call(make, World.create, World.destroy):
        enter(world, monkeypatch)
        try:
            world.create()
            world.assert_serves()
        except (SlipwayError, AssertionError) as error:
            raise AssertionError(f"killed after {call}: {error}") from error


def test_the_kind_is_the_last_tag_and_the_base_claims_a_place(make: Callable[[], World]) -> None:
    world = make()
    world.create()
    order = [command.split()[3] for command in world.pulumi.commands if command.startswith("stack tag set")]
    assert order == [EXPIRES_TAG, NAME_TAG, BASE_TAG, KIND_TAG]


def test_of_two_creates_at_once_the_one_that_is_too_many_takes_its_claim_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World(monkeypatch, tmp_path, limit=1)

    def another_machine(stack: str, key: str) -> None:
        if key == BASE_TAG and stack == "pr-1":
            world.pulumi.stacks["pr-2"] = FakeStack({BASE_TAG: "dev", KIND_TAG: "preview"})

    world.pulumi.on_tag = another_machine
    with pytest.raises(SlipwayError, match=r"has 1 previews, and previewLimit is 1: pr-2"):
        world.create()
    assert "pr-1" not in world.pulumi.stacks
    world.pulumi.on_tag = None
    with pytest.raises(SlipwayError, match="previewLimit"):
        world.create()
    del world.pulumi.stacks["pr-2"]
    world.create()
    world.assert_serves()
    world.create(image="sha256:2")  # an update needs no place


def test_a_priority_that_another_preview_takes_meanwhile_is_left_to_it(make: Callable[[], World]) -> None:
    world = make()
    up = world.pulumi._up
    wanted = world.base.find_rule_priority("pr-1")

    def taken_first(stack: str, folder: Path) -> None:
        world.aws.rules.setdefault(wanted, "pr-9.preview.example.com")
        up(stack, folder)

    world.pulumi._up = taken_first  # type: ignore[method-assign]
    world.create()
    world.assert_serves()
    priorities = {host: priority for priority, host in world.aws.rules.items()}
    assert priorities["pr-9.preview.example.com"] == wanted
    assert priorities["pr-1.preview.example.com"] == wanted + 1


def test_an_update_that_fails_otherwise_is_not_repeated(make: Callable[[], World]) -> None:
    world = make()
    world.pulumi.up_fails = ["a crash"]
    with pytest.raises(SlipwayError, match="pulumi up"):
        world.create()
    assert sum(command.startswith("up ") for command in world.pulumi.commands) == 1
    world.create()
    world.assert_serves()


class Release:
    """An environment with three deployments, whose newest image is broken."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.killer = Killer()
        self.aws = FakeAws(self.killer)
        self.pulumi = FakePulumi(self.killer, self.aws, {"dev": FakeStack()}, {"dev": {"slipway:tier": "dev"}})
        self.pulumi.on_up = self._deploy
        self.tmp_path = tmp_path
        self.history = [past(3, "broken"), past(2, "good"), past(1, "older")]
        (tmp_path / "stacks").mkdir(exist_ok=True)
        (tmp_path / "stacks" / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": {"slipway:tier": "dev"}}))
        aws: Any = self.aws
        self.stack = DeployedStack("dev", aws, CLUSTER, {"web": "web"}, {})
        self.enter(monkeypatch)

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(deployed_stack, "run_pulumi", self.pulumi.ask)
        monkeypatch.setattr(rollback, "run_pulumi_attached", self.pulumi.attached)
        monkeypatch.setattr(rollback, "project_root", lambda: self.tmp_path)
        monkeypatch.setattr(rollback, "write_stack_setting", self._write_setting)
        monkeypatch.setattr(deployments, "list_past_deployments", self._list)

    def _write_setting(self, stack: str, key: str, value: str | None) -> None:
        """One write of the stack's file, as one call that may be the last."""
        change = ["rm", f"slipway:{key}"] if value is None else ["set", f"slipway:{key}", value]
        self.pulumi.ask(["config", *change, "--stack", stack])

    def _list(self, *_: Any) -> list[PastDeployment]:
        self.killer.tick("list deployments")
        return list(self.history)

    def _deploy(self, config: dict[str, str]) -> None:
        digest = config["slipway:rollbackTo"]
        if self.history[0].digest != digest:
            self.history.insert(0, past(len(self.history) + 1, digest))

    def roll_back(self) -> int:
        return rollback.roll_back(self.stack, rollback.plan_rollback(self.stack))

    @property
    def pin(self) -> str:
        return self.pulumi.config["dev"].get("slipway:rollbackTo", "")


def _config(base: str, own: dict[str, Any]) -> dict[str, Any]:
    return {f"slipway:{key}": value for key, value in own.items()}


def past(number: int, digest: str, result: str = "SUCCESSFUL") -> PastDeployment:
    when = f"2026-11-{number:02}T00:00:00+00:00"
    return PastDeployment(when, result, 60.0, digest, "abc", f"abc-{digest}", f"web:{number}")


def test_a_rollback_that_was_killed_after_any_call_goes_on_to_the_same_image(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worlds = kill_after_each_call(lambda: Release(monkeypatch, tmp_path), lambda _: None, Release.roll_back)
    assert len(worlds) >= 8
    for world, call in worlds:
        world.enter(monkeypatch)
        if world.pin:  # it says what is true, whenever it is read
            assert world.history[0].digest == world.pin
        assert world.roll_back() == 0, call
        assert (world.history[0].digest, world.pin) == ("good", "good"), call
        assert world.pulumi.stacks["dev"].tags == {}, call
        assert [each.digest for each in world.history] == ["good", "broken", "good", "older"], call


def test_a_rollback_that_fails_leaves_the_configuration_as_it_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As where an `up` holds the stack's lock."""
    world = Release(monkeypatch, tmp_path)
    world.pulumi.up_fails = ["the stack is currently locked"]
    assert world.roll_back() == 255
    assert world.pulumi.config["dev"] == {"slipway:tier": "dev"}
    assert world.pulumi.stacks["dev"].tags == {}


def test_a_mark_of_a_former_rollback_is_no_target_after_another_deployment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = Release(monkeypatch, tmp_path)
    world.pulumi.stacks["dev"].tags[rollback.ROLLBACK_TAG] = f"older@{past(2, 'good').when}"
    assert rollback.plan_rollback(world.stack).target.digest == "good"
    world.pulumi.stacks["dev"].tags[rollback.ROLLBACK_TAG] = f"older@{past(3, 'broken').when}"
    plan = rollback.plan_rollback(world.stack)
    assert (plan.target.digest, plan.is_resumed) == ("older", True)
    assert rollback.plan_rollback(world.stack, "good").target.digest == "good"


def test_the_end_of_a_rollback_takes_pin_and_mark_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = Release(monkeypatch, tmp_path)
    world.roll_back()
    world.pulumi.stacks["dev"].tags[rollback.ROLLBACK_TAG] = "good@x"
    assert rollback.end_rollback("dev") == "good"
    assert (world.pin, world.pulumi.stacks["dev"].tags) == ("", {})
    assert rollback.end_rollback("dev") == ""


def test_names_of_the_fake_are_those_of_the_kit() -> None:
    assert names.stack_name("slipway", "pr-1") == "slipway-pr-1"
