"""An image from one ECR repository into another, digest and all.

By ECR's own API: neither Docker nor a login is needed, and the two may be of different accounts and regions.
"""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infra.errors import SlipwayError
from infra.release.capacity import image_of
from infra.release.client import Clients

DOWNLOAD_SECONDS = 60
AGAIN = "Run it again: what was copied stays, and is not copied twice."


@dataclass(frozen=True)
class Repository:
    """A repository, and the AWS that it is in."""

    aws: Clients
    name: str

    def manifest(self, digest: str) -> Any:
        """The image as ECR's `batch_get_image` tells it; None where it has none of this digest."""
        return image_of(self.aws, self.name, digest)

    def missing(self, blobs: list[str]) -> list[str]:
        """Those of these blobs that it does not have."""
        if not blobs:
            return []
        ecr = self.aws.client("ecr")
        found = ecr.batch_check_layer_availability(repositoryName=self.name, layerDigests=blobs)["layers"]
        there = {each["layerDigest"] for each in found if each["layerAvailability"] == "AVAILABLE"}
        return [digest for digest in blobs if digest not in there]


@dataclass
class Copied:
    """What had to be moved."""

    blobs: int = 0
    bytes: int = 0


def copy_image(source: Repository, target: Repository, digest: str, tag: str, *, dry_run: bool = False) -> Copied:
    """Copy the image `digest`, which gets `tag`; what `target` has, blobs or the whole image, is not moved.

    With `dry_run` the blobs are counted only. Raises `SlipwayError` where `source` has no such image.
    """
    copied = Copied()
    _copy(source, target, digest, tag, dry_run, copied)
    return copied


def _copy(source: Repository, target: Repository, digest: str, tag: str, dry_run: bool, copied: Copied) -> None:
    if target.manifest(digest):
        return
    image = source.manifest(digest)
    if image is None:
        raise SlipwayError(f"The registry {source.name} has no image {digest}.", "It was never pushed there.")
    about = json.loads(image["imageManifest"])
    for child in about.get("manifests", []):  # of an index: one for each architecture, and what attests them
        _copy(source, target, child["digest"], "", dry_run, copied)
    blobs = [each["digest"] for each in [*about.get("layers", []), *([about["config"]] if "config" in about else [])]]
    for blob in target.missing(list(dict.fromkeys(blobs))):
        copied.blobs += 1
        if not dry_run:
            copied.bytes += _copy_blob(source, target, blob)
    if dry_run:
        return
    put = {"imageTag": tag} if tag else {}
    target.aws.client("ecr").put_image(
        repositoryName=target.name,
        imageManifest=image["imageManifest"],
        imageManifestMediaType=image["imageManifestMediaType"],
        imageDigest=digest,  # ECR refuses a manifest that has another one
        **put,
    )


def _copy_blob(source: Repository, target: Repository, digest: str) -> int:
    """Move one blob in the parts that ECR asks for; its size in bytes. ECR compares its digest at the end."""
    ecr = target.aws.client("ecr")
    url = source.aws.client("ecr").get_download_url_for_layer(repositoryName=source.name, layerDigest=digest)
    begun = ecr.initiate_layer_upload(repositoryName=target.name)
    at = 0
    for part in _parts(url["downloadUrl"], begun["partSize"]):
        ecr.upload_layer_part(
            repositoryName=target.name,
            uploadId=begun["uploadId"],
            partFirstByte=at,
            partLastByte=at + len(part) - 1,
            layerPartBlob=part,
        )
        at += len(part)
    with contextlib.suppress(ecr.exceptions.LayerAlreadyExistsException):  # another promotion was faster
        ecr.complete_layer_upload(repositoryName=target.name, uploadId=begun["uploadId"], layerDigests=[digest])
    return at


def _parts(url: str, size: int) -> Iterator[bytes]:
    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_SECONDS) as answer:  # noqa: S310 - ECR's own address of a blob
            while part := answer.read(size):
                yield part
    except OSError as error:
        raise SlipwayError(f"A layer cannot be read from the registry: {error}.", AGAIN) from None
