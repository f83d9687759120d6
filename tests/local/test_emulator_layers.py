"""A layer that one local registry was given is there in the next one: Docker then neither compresses nor sends it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ministack.services import ecr

from slipway_local.emulator.ecs import images
from slipway_local.emulator.ecs.failures import StartFailure
from slipway_local.emulator.patches import ecr_images, ecr_layer_cache

LAYER = bytes(ecr_layer_cache.MIN_LAYER_BYTES)
DIGEST = f"sha256:{hashlib.sha256(LAYER).hexdigest()}"


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path))
    for name in ("_v2_complete_blob_upload", "_v2_head_blob"):
        monkeypatch.setattr(ecr, name, getattr(ecr, name))
    ecr_layer_cache.install()
    begin_anew()
    yield
    ecr.reset()


def begin_anew() -> None:
    ecr.reset()
    ecr._create_repository({"repositoryName": "app"})


def push(layer: bytes, digest: str) -> int:
    _, headers, _ = ecr._v2_start_blob_upload("app", {}, b"")
    upload = headers["Docker-Upload-UUID"]
    return int(ecr._v2_complete_blob_upload("app", upload, {"digest": [digest]}, layer)[0])


def asked_for(digest: str, repository: str = "app") -> int:
    return int(ecr._v2_head_blob(repository, digest)[0])


def test_a_layer_is_there_for_the_next_registry_and_can_be_pulled_from_it() -> None:
    assert asked_for(DIGEST) == 404
    assert push(LAYER, DIGEST) == 201
    begin_anew()
    assert asked_for(DIGEST) == 200
    assert ecr._v2_get_blob("app", DIGEST)[2] == LAYER
    assert asked_for(DIGEST, "nowhere") == 404, "a repository that is not there has nothing"


def test_what_is_not_the_layer_is_not_taken_for_it() -> None:
    push(LAYER, DIGEST)
    (ecr_layer_cache.layer_cache_dir() / DIGEST).write_bytes(b"cut off")
    begin_anew()
    assert asked_for(DIGEST) == 404
    assert push(b"small", f"sha256:{hashlib.sha256(b'small').hexdigest()}") == 201
    assert list(ecr_layer_cache.layer_cache_dir().iterdir()) == [], "small ones are not kept"


def test_of_too_many_those_go_that_nobody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ecr_layer_cache, "MAX_CACHE_BYTES", 2 * ecr_layer_cache.MIN_LAYER_BYTES)
    each = [bytes([number]) * ecr_layer_cache.MIN_LAYER_BYTES for number in range(3)]
    digests = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in each]
    push(each[0], digests[0])
    push(each[1], digests[1])
    for age, digest in enumerate(digests[:2]):
        os.utime(ecr_layer_cache.layer_cache_dir() / digest, (age, age))
    begin_anew()
    assert asked_for(digests[0]) == 200
    push(each[2], digests[2])
    begin_anew()
    assert [asked_for(digest) for digest in digests] == [200, 404, 200]


@pytest.mark.usefixtures("registry")
def test_a_deleted_digest_is_not_served_and_starts_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "4999")
    monkeypatch.setattr(ecr, "_batch_delete_image", ecr_images._wrap_batch_delete_image(ecr._batch_delete_image))
    manifest = b'{"schemaVersion": 2, "layers": []}'
    media_type = {"content-type": "application/vnd.docker.distribution.manifest.v2+json"}
    digests = {ecr._v2_put_manifest("app", tag, media_type, manifest)[1]["Docker-Content-Digest"] for tag in "ab"}
    (digest,) = digests
    image = f"localhost:4999/app@{digest}"

    def delete(**image_id: str) -> None:
        assert ecr._batch_delete_image({"repositoryName": "app", "imageIds": [image_id]})[0] == 200

    delete(imageTag="a")
    assert ecr._resolve_manifest("app", digest)[1] == manifest, "it still has the tag b"
    assert images._is_in_local_registry(image)
    delete(imageDigest=digest)
    assert ecr._resolve_manifest("app", digest)[0] is None
    assert not images._is_in_local_registry(image)
    assert images._is_in_local_registry("python:3.11-slim")
    with pytest.raises(StartFailure, match="CannotPullContainerError"):
        images.ensure_image(image)
