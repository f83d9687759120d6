"""An image of the same sources is built again, and the registry lets no tag move: its tag is made free before."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.release.image_tag import free_the_tag

pytestmark = pytest.mark.e2e
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def ecr(aws: Callable[[str], Any]) -> Any:
    client = aws("ecr")
    client.create_repository(repositoryName="app", imageTagMutability="IMMUTABLE")
    yield client
    client.delete_repository(repositoryName="app", force=True)


def push(ecr: Any, number: int, tag: str) -> str:
    """An image that differs from others in its number; its digest."""
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "number": number})
    pushed = ecr.put_image(repositoryName="app", imageManifest=manifest, imageTag=tag)
    return str(pushed["image"]["imageId"]["imageDigest"])


def tags(ecr: Any) -> dict[str, str]:
    images = ecr.describe_images(repositoryName="app")["imageDetails"]
    return {tag: image["imageDigest"] for image in images for tag in image.get("imageTags", [])}


def test_without_it_the_registry_refuses_the_push(ecr: Any) -> None:
    push(ecr, 1, "abc")
    with pytest.raises(ecr.exceptions.ImageTagAlreadyExistsException):
        push(ecr, 2, "abc")


def test_the_new_image_gets_the_tag_and_the_old_one_keeps_a_tag_of_its_own(ecr: Any) -> None:
    old = push(ecr, 1, "abc")
    free_the_tag(ecr, "app", "abc")
    new = push(ecr, 2, "abc")
    kept = f"abc-{old.removeprefix('sha256:')[:12]}"
    assert tags(ecr) == {"abc": new, kept: old}


def test_back_and_forth_any_number_of_times(ecr: Any) -> None:
    for number in (1, 2, 1, 2, 1):
        free_the_tag(ecr, "app", "abc")
        newest = push(ecr, number, "abc")
    assert tags(ecr)["abc"] == newest
    assert len(set(tags(ecr).values())) == 2


def test_a_tag_that_nobody_has_is_free(ecr: Any) -> None:
    free_the_tag(ecr, "app", "abc")
    assert tags(ecr) == {}
