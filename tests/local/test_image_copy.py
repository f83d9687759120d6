"""An image goes from one registry to another with its digest: with real uploads to the local ECR."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.release.aws_session import AwsSession
from slipway.release.image_copy import CopyResult, ImageRepository, copy_image

pytestmark = pytest.mark.e2e
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LARGE = bytes(11 * 1024 * 1024)
"""Two parts of an upload."""
CONFIG = b'{"architecture": "amd64"}'


@pytest.fixture
def two(aws: Callable[[str], Any], local: AwsSession) -> Iterator[tuple[ImageRepository, ImageRepository]]:
    names = ("staging", "prod")
    for name in names:
        aws("ecr").create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    yield ImageRepository(local, names[0]), ImageRepository(local, names[1])
    for name in names:
        aws("ecr").delete_repository(repositoryName=name, force=True)


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def upload(at: ImageRepository, content: bytes) -> dict[str, Any]:
    ecr = at.aws.client("ecr")
    upload = ecr.initiate_layer_upload(repositoryName=at.name)["uploadId"]
    step = 10 * 1024 * 1024
    for first in range(0, len(content), step):
        part = content[first : first + step]
        ecr.upload_layer_part(
            repositoryName=at.name,
            uploadId=upload,
            partFirstByte=first,
            partLastByte=first + len(part) - 1,
            layerPartBlob=part,
        )
    ecr.complete_layer_upload(repositoryName=at.name, uploadId=upload, layerDigests=[sha256(content)])
    return {"digest": sha256(content), "size": len(content)}


def put(at: ImageRepository, manifest: dict[str, Any], tag: str = "") -> str:
    text = json.dumps(manifest)
    put = at.aws.client("ecr").put_image(
        repositoryName=at.name,
        imageManifest=text,
        imageManifestMediaType=manifest["mediaType"],
        **({"imageTag": tag} if tag else {}),
    )
    return str(put["image"]["imageId"]["imageDigest"])


def image(at: ImageRepository, *layers: bytes, tag: str = "") -> str:
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": upload(at, CONFIG)}
    return put(at, manifest | {"layers": [upload(at, layer) for layer in layers]}, tag)


def test_an_image_keeps_its_digest_and_gets_a_tag(two: tuple[ImageRepository, ImageRepository]) -> None:
    source, target = two
    digest = image(source, LARGE, b"the app", tag="abc")
    assert copy_image(source, target, digest, "promoted") == CopyResult(3, len(LARGE) + len(b"the app") + len(CONFIG))
    ecr = target.aws.client("ecr")
    (found,) = ecr.describe_images(repositoryName=target.name)["imageDetails"]
    assert (found["imageDigest"], found["imageTags"]) == (digest, ["promoted"])
    url = ecr.get_download_url_for_layer(repositoryName=target.name, layerDigest=sha256(LARGE))["downloadUrl"]
    assert f"/{target.name}/" in url
    assert target.missing([sha256(LARGE), sha256(b"the app")]) == []


def test_what_is_there_is_not_moved_again(two: tuple[ImageRepository, ImageRepository]) -> None:
    source, target = two
    first, second = image(source, LARGE, b"one"), image(source, LARGE, b"two")
    copy_image(source, target, first, "first")
    assert copy_image(source, target, second, "second") == CopyResult(1, len(b"two"))
    assert copy_image(source, target, second, "second") == CopyResult()


def test_a_dry_run_counts_and_moves_nothing(two: tuple[ImageRepository, ImageRepository]) -> None:
    source, target = two
    digest = image(source, b"one")
    assert copy_image(source, target, digest, "first", dry_run=True) == CopyResult(2, 0)
    assert target.manifest(digest) is None
    assert target.missing([sha256(b"one")]) == [sha256(b"one")]


def test_an_image_of_several_architectures_goes_with_all_of_them(two: tuple[ImageRepository, ImageRepository]) -> None:
    source, target = two
    parts = [{"mediaType": MANIFEST, "digest": image(source, layer), "size": 1} for layer in (b"amd64", b"arm64")]
    digest = put(source, {"schemaVersion": 2, "mediaType": INDEX, "manifests": parts}, "both")
    copy_image(source, target, digest, "promoted")
    assert all(target.manifest(each["digest"]) for each in [*parts, {"digest": digest}])


def test_an_image_that_was_never_pushed_is_refused(two: tuple[ImageRepository, ImageRepository]) -> None:
    with pytest.raises(SlipwayError, match="has no image sha256:0000"):
        copy_image(*two, "sha256:" + "0" * 64, "promoted")
