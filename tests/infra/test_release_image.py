"""An image that is not there, or is for another processor, is refused before anything changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.release import preflight
from slipway.release.preflight import PlannedRelease, check_release
from tests.infra.fake_ecr import FakeEcr
from tests.infra.fake_pulumi import Killer

REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/app"


@pytest.fixture
def ecr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEcr:
    monkeypatch.setattr(preflight, "check_vcpu_quota", lambda *_: ["a remark"])
    return FakeEcr(Killer(), tmp_path)


def check(ecr: Any, image: str, architecture: str = "X86_64") -> list[str]:
    """What is remarked on a release of this image."""
    said: list[str] = []
    check_release(ecr, PlannedRelease([image], architecture, []), said.append)
    return said


def of_architecture(ecr: FakeEcr, architecture: str) -> str:
    return ecr.add_image(json.dumps({"architecture": architecture}).encode(), b"a layer")


def test_an_image_for_the_tasks_processor_passes(ecr: FakeEcr) -> None:
    assert check(ecr, f"{REGISTRY}@{of_architecture(ecr, 'amd64')}") == ["a remark"]
    assert check(ecr, f"{REGISTRY}:tag@{of_architecture(ecr, 'arm64')}", "ARM64") == ["a remark"]


def test_one_for_another_processor_does_not(ecr: FakeEcr) -> None:
    digest = of_architecture(ecr, "arm64")
    with pytest.raises(SlipwayError, match=rf"app@{digest[:19]} is built for arm64, and the task runs on amd64"):
        check(ecr, f"{REGISTRY}@{digest}")


def test_of_an_image_for_several_one_has_to_be_the_tasks(ecr: FakeEcr) -> None:
    platforms = [{"platform": {"architecture": name}} for name in ("amd64", "unknown")] + [{}]
    digest = ecr.add({"manifests": platforms})
    assert check(ecr, f"{REGISTRY}@{digest}") == ["a remark"]
    with pytest.raises(SlipwayError, match="is built for amd64, and the task runs on arm64"):
        check(ecr, f"{REGISTRY}@{digest}", "ARM64")


def test_one_that_was_never_pushed_or_that_has_no_digest_is_refused(ecr: FakeEcr) -> None:
    with pytest.raises(SlipwayError, match="has no image app@sha256:0"):
        check(ecr, f"{REGISTRY}@sha256:0")
    with pytest.raises(SlipwayError, match="has no digest"):
        check(ecr, f"{REGISTRY}:latest")


def test_a_registry_that_is_not_there_has_no_image(ecr: FakeEcr, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(**_: Any) -> Any:
        raise LookupError

    monkeypatch.setattr(ecr, "batch_get_image", missing)
    with pytest.raises(SlipwayError, match="has no image app@sha256:0"):
        check(ecr, f"{REGISTRY}@sha256:0")


def test_an_image_of_another_registry_is_left_to_ecs(ecr: FakeEcr) -> None:
    assert check(ecr, "docker.io/library/redis:8") == ["a remark"]
    assert ecr.killer.calls == 0
