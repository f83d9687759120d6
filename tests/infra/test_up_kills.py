"""`up`, killed after each call of the engine or of AWS, and run again: one new release serves, and nothing is left."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from slipway.release.deployed_stack import DeployedStack
from slipway.release.deployments import KEPT_REVISIONS
from slipway.release.rollout import SUCCESSFUL
from slipway.release.scale import SCALED_TAG, scale_processes
from tests.infra.fake_ecs import CLUSTER, NEVER, TARGETS
from tests.infra.fake_up import BALANCER, MAX_TASKS, QUEUE, TASKS, Release, UpFailed, World
from tests.infra.test_release_kills import kill_after_each_call

FORMER = Release(f"sha256:{'1' * 12}", delay=30, visibility=900)
NEW = Release(f"sha256:{'2' * 12}", delay=150, visibility=150, forwarded_for="preserve")
MENDED = Release(f"sha256:{'3' * 12}", delay=150, visibility=150, forwarded_for="preserve")
SCALED = 3


def make() -> World:
    """The former release serves, scaled by hand, and there are more task definitions than are kept."""
    world = deployed(FORMER)
    account = world.account
    for family in ("web", "release"):
        newest = account.definitions.pop(f"{family}:1")
        account.definitions |= {f"{family}:{number}": newest for number in range(1, 25)}
    account.update_service("", "", desiredCount=SCALED)
    account.tags = {SCALED_TAG: str(SCALED)}
    account.target |= {"MinCapacity": SCALED}
    world.clock.sleep(3600)
    return world


def deployed(release: Release) -> World:
    world = World()
    world.up(release)
    return world


def migrations(world: World) -> list[tuple[float, float, int | None]]:
    """Start, end and exit code of each run of the release task, the former release's left out."""
    return [(task.created, task.stopped, task.exit_code) for task in world.account.standalone[1:]]


def assert_serves(world: World, release: Release) -> None:
    account, now = world.account, world.clock.now()
    newest = account.deployments[-1]
    assert account.definitions[newest.definition] == release.digest
    assert newest.status(now) == SUCCESSFUL
    running = [task for task in account.tasks if task.stopped > now]
    assert {task.digest for task in running} == {release.digest}
    assert account.seconds == {TARGETS: release.delay, QUEUE: release.visibility, BALANCER: release.delay}
    assert account.forwarded_for == release.forwarded_for
    assert (account.desired, account.tags) == (TASKS, {})
    assert account.target == {"MinCapacity": TASKS, "MaxCapacity": MAX_TASKS}


def assert_nothing_left(world: World) -> None:
    account = world.account
    assert all(task.stopped <= world.clock.now() for task in account.standalone)
    ran = migrations(world)
    assert all(former[1] <= later[0] for former, later in itertools.pairwise(ran)), "two migrations at once"
    assert {code for _, _, code in ran} == {0}
    for family in ("web", "release"):
        kept = [arn for arn in account.definitions if arn.startswith(f"{family}:")]
        assert len(kept) == KEPT_REVISIONS, kept
    tags = [tag for held in account.image_tags.values() for tag in held]
    assert sorted(set(tags)) == sorted(tags)
    assert all(account.image_tags.values()), "an image without a tag expires, though a rollback may need it"


def test_an_up_that_was_killed_after_any_call_goes_on() -> None:
    worlds = kill_after_each_call(make, lambda _: None, lambda world: world.up(NEW))
    assert len(worlds) > 60
    for world, call in worlds:
        deployed = len(world.account.deployments)
        try:
            world.up(NEW)
            assert_serves(world, NEW)
            assert_nothing_left(world)
            assert len(migrations(world)) <= 2  # a killed one does not know how the one that it had begun came out
            assert len(world.account.deployments) <= max(deployed, 2), "the same release, rolled out a second time"
            world.account.writes.clear()
            world.up(NEW)
            assert world.account.writes == [], "there was nothing to do"
        except (UpFailed, AssertionError) as error:
            raise AssertionError(f"killed after {call}: {error}") from error


def test_an_up_whose_tasks_fail_and_that_was_killed_after_any_call_still_serves_and_can_be_mended() -> None:
    """The former release serves; the same `up` fails again, as it would have, and the mended one passes."""
    worlds = kill_after_each_call(make_broken, lambda _: None, fail)
    assert len(worlds) > 60
    for world, call in worlds:
        try:
            with pytest.raises(UpFailed):
                world.up(NEW)
            world.clock.sleep(30)  # where it was killed while ECS rolled back
            running = {task.digest for task in world.account.tasks if task.stopped == NEVER}
            assert running == {FORMER.digest}
            world.up(MENDED)
            assert_serves(world, MENDED)
            assert_nothing_left(world)
        except (UpFailed, AssertionError) as error:
            raise AssertionError(f"killed after {call}: {error}") from error


def make_broken() -> World:
    world = make()
    world.account.broken = {NEW.digest}
    return world


def fail(world: World) -> None:
    with pytest.raises(UpFailed, match=r"rolled back to web:1\b"):
        world.up(NEW)


def test_what_a_scale_that_was_killed_after_any_call_has_set_is_ended_by_the_next_up() -> None:
    def scale(world: World) -> None:
        aws: Any = world.account
        stack = DeployedStack("dev", aws, CLUSTER, {"worker": "web"}, {})
        scale_processes(stack, {"worker": 6}, lambda _: None, world.clock)

    worlds = kill_after_each_call(lambda: deployed(FORMER), lambda _: None, scale)
    assert len(worlds) > 8
    for world, call in worlds:
        world.up(FORMER)
        try:
            assert_serves(world, FORMER)
        except AssertionError as error:
            raise AssertionError(f"killed after {call}: {error}") from error
