"""`slipway promote`: what may be promoted, and a copy that is killed after any call and run again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.release import deployed_stack, promote, rollout
from slipway.release.deployed_stack import DeployedStack
from slipway.release.image_copy import CopyResult
from slipway.release.promote import Promotion, plan_promotion, promote_image
from tests.infra.fake_ecr import FakeEcr
from tests.infra.fake_pulumi import CLUSTER, FakeAws, FakePulumi, FakeStack, Killer
from tests.infra.test_release_kills import kill_after_each_call


class World:
    """Staging's image for two architectures, and a prod that a rollback has pinned."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.killer = Killer()
        self.source, self.target = FakeEcr(self.killer, tmp_path), FakeEcr(self.killer, tmp_path)
        children = [self.source.add_image(b"config", b"the system", code) for code in (b"amd64", b"arm64")]
        self.digest = self.source.add({"manifests": [{"digest": child} for child in children]})
        self.pulumi = FakePulumi(self.killer, FakeAws(self.killer), {"prod": FakeStack()})
        self.pulumi.config = {"prod": {"slipway:rollbackTo": "old", "slipway:imageDigest": "before"}}
        self.enter(monkeypatch)

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(deployed_stack, "run_pulumi", self.pulumi.ask)
        monkeypatch.setattr(promote, "write_stack_setting", self._write_setting)

    def _write_setting(self, stack: str, key: str, value: str | None) -> None:
        """One write of the stack's file, as one call that may be the last."""
        change = ["rm", f"slipway:{key}"] if value is None else ["set", f"slipway:{key}", value]
        self.pulumi.ask(["config", *change, "--stack", stack])

    def promote(self, *, dry_run: bool = False) -> CopyResult:
        promotion = Promotion(stack("staging", self.source), stack("prod", self.target), self.digest)
        return promote_image(promotion, dry_run=True) if dry_run else promote_image(promotion)

    @property
    def prod(self) -> dict[str, str]:
        return self.pulumi.config["prod"]


def stack(name: str, aws: Any, **outputs: Any) -> DeployedStack:
    registry = {"arn": f"arn:aws:ecr:eu-central-1:123456789012:repository/{name}"}
    services = {"web": f"shop-{name}-web", "worker": f"shop-{name}-worker"}
    return DeployedStack(name, aws, CLUSTER, services, {"foundation": {"registry": registry}, **outputs})


def test_a_promotion_that_was_killed_after_any_call_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    worlds = kill_after_each_call(lambda: World(monkeypatch, tmp_path), lambda _: None, World.promote)
    assert len(worlds) > 20
    for world, call in worlds:
        world.enter(monkeypatch)
        if world.prod["slipway:imageDigest"] == world.digest:
            assert world.digest in world.target.manifests, f"{call}: an `up` now would find no image"
        else:
            assert world.prod["slipway:rollbackTo"] == "old", f"{call}: an `up` now would end the rollback alone"
        world.promote()
        assert world.prod == {"slipway:imageDigest": world.digest}, call
        assert world.target.blobs == world.source.blobs, call
        assert world.target.manifests == world.source.manifests, call


def test_a_promotion_copies_each_layer_once_and_names_the_image_so_that_it_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World(monkeypatch, tmp_path)
    size = sum(map(len, world.source.blobs.values()))
    assert world.promote(dry_run=True).blobs >= len(world.source.blobs)
    assert (world.target.uploads, world.prod["slipway:imageDigest"]) == ({}, "before")
    assert world.promote() == CopyResult(len(world.source.blobs), size)
    assert world.target.tags == {f"promoted-{world.digest[7:19]}": world.digest}
    assert world.promote() == CopyResult()


def test_a_stack_without_a_rollback_keeps_its_other_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = World(monkeypatch, tmp_path)
    world.pulumi.config["prod"] = {"slipway:tier": "prod"}
    world.promote()
    assert world.prod == {"slipway:tier": "prod", "slipway:imageDigest": world.digest}
    assert not any(command.startswith("config rm") for command in world.pulumi.commands)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Makes services run these digests; returns the addresses that are asked."""

    def serve(**digests: str) -> list[str]:
        asked: list[str] = []

        def verify(_: Any, service: Any, __: Any, *, again: bool, stack: str) -> Any:
            assert not again, "a promotion changes nothing of its source"
            assert stack in ("dev", "staging")
            process = service.name.rsplit("-", 1)[-1]
            assert service.task_definition == f"definition of {service.name}"
            return SimpleNamespace(digests={process: digests[process]} if process in digests else {})

        def newest(_: Any, __: str, name: str) -> Any:
            return None if name.endswith("-missing") else SimpleNamespace(task_definition=f"definition of {name}")

        monkeypatch.setattr(promote, "verify_rollout", verify)
        monkeypatch.setattr(rollout, "get_newest_deployment", newest)
        monkeypatch.setattr(promote, "run_smoke_test", lambda test: asked.append(test.url) or "It answers.")
        return asked

    return serve


OUTPUTS = {"url": "https://staging.test/", "health": {"live": "/livez"}}


def plan(**outputs: Any) -> Promotion:
    source = stack("staging", None, **OUTPUTS, **outputs)
    return plan_promotion(source, stack("prod", None), "", lambda _: None)


def test_what_every_service_runs_is_promoted_when_it_answers(serve: Callable[..., list[str]]) -> None:
    asked = serve(web="sha256:1", worker="sha256:1")
    assert plan().digest == "sha256:1"
    assert asked == ["https://staging.test/livez"]


def test_an_internal_load_balancer_is_not_asked(serve: Callable[..., list[str]]) -> None:
    asked = serve(web="sha256:1", worker="sha256:1")
    plan(internal=True)
    assert asked == []


def test_what_is_not_one_image_everywhere_is_not_promoted(serve: Callable[..., list[str]]) -> None:
    serve(web="sha256:1", worker="sha256:2")
    with pytest.raises(SlipwayError, match="run different images: web sha256:1, worker sha256:2"):
        plan()
    assert plan(processImages={"worker": "its own"}).digest == "sha256:1"


def test_a_service_without_tasks_or_deployment_is_not_verified(serve: Callable[..., list[str]]) -> None:
    serve(web="sha256:1")
    with pytest.raises(SlipwayError, match="No task of shop-staging-worker runs"):
        plan()
    source = stack("staging", None, **OUTPUTS)
    source.services["worker"] = "shop-staging-missing"
    with pytest.raises(SlipwayError, match="ECS has no deployment of shop-staging-missing"):
        plan_promotion(source, stack("prod", None), "", lambda _: None)


def test_another_digest_than_the_one_that_serves_and_the_stack_itself_are_refused(
    serve: Callable[..., list[str]],
) -> None:
    serve(web="sha256:1", worker="sha256:1")
    source, target = stack("staging", None, **OUTPUTS), stack("prod", None)
    with pytest.raises(SlipwayError, match="staging runs sha256:1, and not sha256:0"):
        plan_promotion(source, target, "sha256:0", lambda _: None)
    assert plan_promotion(source, target, "sha256:1", lambda _: None).digest == "sha256:1"
    with pytest.raises(SlipwayError, match="cannot be promoted to itself"):
        plan_promotion(source, source, "", lambda _: None)
