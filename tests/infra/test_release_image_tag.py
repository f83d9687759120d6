"""An image's tag is made free before the push: the older image keeps one, so that a rollback finds it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from slipway.release import image_tag
from tests.infra.deployed import Answers

DIGEST = "sha256:0123456789abcdef"
IMAGE = {"imageId": {"imageDigest": DIGEST}, "imageManifest": "{}", "imageManifestMediaType": "type", "other": 1}


def ecr(*tags: str) -> Answers:
    """A registry with one image of these tags; of none with the tag that is asked for, if there are none."""
    return Answers(
        {
            "batch_get_image": {"images": [IMAGE] if tags else []},
            "describe_images": {"imageDetails": [{"imageTags": list(tags)}]},
            "put_image": {},
            "batch_delete_image": {},
        }
    )


def test_the_older_image_gets_a_tag_of_its_own_before_it_loses_this_one() -> None:
    registry = ecr("abc")
    image_tag.retag_existing_image(registry, "app", "abc")
    assert [call for call, _ in registry.calls][-2:] == ["put_image", "batch_delete_image"]
    assert registry.given("put_image") == [
        {
            "repositoryName": "app",
            "imageTag": "abc-0123456789ab",
            "imageManifest": "{}",
            "imageManifestMediaType": "type",
        }
    ]
    assert registry.given("batch_delete_image") == [{"repositoryName": "app", "imageIds": [{"imageTag": "abc"}]}]


def test_one_that_has_it_already_is_not_tagged_twice_and_a_free_tag_is_left_alone() -> None:
    registry = ecr("abc", "abc-0123456789ab")
    image_tag.retag_existing_image(registry, "app", "abc")
    assert registry.given("put_image") == []
    assert len(registry.given("batch_delete_image")) == 1
    registry = ecr()
    image_tag.retag_existing_image(registry, "app", "abc")
    assert [call for call, _ in registry.calls] == ["batch_get_image"]


def test_the_hook_frees_every_tag_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks: list[Any] = []
    monkeypatch.setattr(image_tag, "open_stack_aws_session", lambda: SimpleNamespace(client=lambda service: service))
    monkeypatch.setattr(image_tag.pulumi, "ResourceHook", lambda name, free, opts: hooks.append(free))
    freed: list[tuple[str, str, str]] = []
    monkeypatch.setattr(image_tag, "retag_existing_image", lambda *given: freed.append(given))
    image_tag.free_tag_hook("shop")
    (free,) = hooks
    free(SimpleNamespace(new_inputs={"tags": ["registry:443/team/app:abc", "registry:443/team/app:def"]}))
    assert freed == [("ecr", "team/app", "abc"), ("ecr", "team/app", "def")]
