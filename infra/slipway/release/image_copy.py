"""Copies an image from one ECR repository to another, with the same digest.

Uses ECR's API: needs no Docker and no login, and works between accounts and regions.
"""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from slipway.config.errors import SlipwayError
from slipway.release.aws_session import ClientFactory
from slipway.release.preflight import get_image

DOWNLOAD_SECONDS = 60
RETRY_HINT = "Run it again: copied layers are kept, and are not copied twice."


@dataclass(frozen=True)
class ImageRepository:
    """An ECR repository and the AWS session for it."""

    aws: ClientFactory
    name: str

    def manifest(self, digest: str) -> Any:
        """Returns the image as ECR's `batch_get_image` describes it; None if there is none of this digest."""
        return get_image(self.aws, self.name, digest)

    def missing(self, blobs: list[str]) -> list[str]:
        """Returns those of the blobs that it lacks."""
        if not blobs:
            return []
        ecr = self.aws.client("ecr")
        layers = ecr.batch_check_layer_availability(repositoryName=self.name, layerDigests=blobs)["layers"]
        available = {layer["layerDigest"] for layer in layers if layer["layerAvailability"] == "AVAILABLE"}
        return [digest for digest in blobs if digest not in available]


@dataclass
class CopyResult:
    """The copied blobs and bytes."""

    blobs: int = 0
    bytes: int = 0


def copy_image(
    source: ImageRepository, target: ImageRepository, digest: str, tag: str, *, dry_run: bool = False
) -> CopyResult:
    """Copies the image `digest` and tags it `tag`; skips blobs, or the whole image, that `target` has.

    With `dry_run`, only counts the blobs. Raises `SlipwayError` if `source` has no such image.
    """
    copied = CopyResult()
    _copy_manifest(source, target, digest, tag, dry_run, copied)
    return copied


def _copy_manifest(
    source: ImageRepository, target: ImageRepository, digest: str, tag: str, dry_run: bool, copied: CopyResult
) -> None:
    if target.manifest(digest):
        return
    image = source.manifest(digest)
    if image is None:
        raise SlipwayError(
            f"The registry {source.name} has no image {digest}, which is to be copied.",
            "Deploy that image to the source stack first.",
        )
    manifest = json.loads(image["imageManifest"])
    for child in manifest.get("manifests", []):  # an index: one image for each architecture, and attestations
        _copy_manifest(source, target, child["digest"], "", dry_run, copied)
    parts = [*manifest.get("layers", []), *([manifest["config"]] if "config" in manifest else [])]
    blobs = [part["digest"] for part in parts]
    for blob in target.missing(list(dict.fromkeys(blobs))):
        copied.blobs += 1
        if not dry_run:
            copied.bytes += _copy_blob(source, target, blob)
    if dry_run:
        return
    tags = {"imageTag": tag} if tag else {}
    target.aws.client("ecr").put_image(
        repositoryName=target.name,
        imageManifest=image["imageManifest"],
        imageManifestMediaType=image["imageManifestMediaType"],
        imageDigest=digest,  # ECR refuses a manifest of another digest
        **tags,
    )


def _copy_blob(source: ImageRepository, target: ImageRepository, digest: str) -> int:
    """Copies one blob in parts of ECR's size; returns its size in bytes. ECR checks the digest at the end."""
    ecr = target.aws.client("ecr")
    url = source.aws.client("ecr").get_download_url_for_layer(repositoryName=source.name, layerDigest=digest)
    upload = ecr.initiate_layer_upload(repositoryName=target.name)
    position = 0
    for part in _download_parts(url["downloadUrl"], upload["partSize"]):
        ecr.upload_layer_part(
            repositoryName=target.name,
            uploadId=upload["uploadId"],
            partFirstByte=position,
            partLastByte=position + len(part) - 1,
            layerPartBlob=part,
        )
        position += len(part)
    with contextlib.suppress(ecr.exceptions.LayerAlreadyExistsException):  # another promotion was faster
        ecr.complete_layer_upload(repositoryName=target.name, uploadId=upload["uploadId"], layerDigests=[digest])
    return position


def _download_parts(url: str, size: int) -> Iterator[bytes]:
    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_SECONDS) as answer:  # noqa: S310 - ECR's own address of a blob
            while part := answer.read(size):
                yield part
    except OSError as error:
        raise SlipwayError(f"A layer cannot be read from the registry: {error}.", RETRY_HINT) from None
