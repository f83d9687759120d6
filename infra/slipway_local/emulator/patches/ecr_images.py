"""ECR: a tag can be taken from an image that has another one, the address of a blob leads to it, layers are uploaded.

ministack deletes the whole image, names an address of the real AWS, answers uploads by ECR's own API without keeping
them, keeps the layers of a repository that is deleted, and has the repositories of one account in Docker's protocol.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from ministack.core.responses import (
    error_response_json,
    json_response,
    new_uuid,
    set_request_account_id,
    set_request_region,
)
from ministack.services import ecr

from slipway_local.emulator.labels import gateway_port

EcrRequest = dict[str, Any]
PART_BYTES = 10 * 1024 * 1024
"""Part size that ECR asks for."""


def install() -> None:
    """Replaces ministack's."""
    ecr._batch_delete_image = _wrap_batch_delete_image(ecr._batch_delete_image)
    ecr._get_download_url_for_layer = _wrap_get_download_url(ecr._get_download_url_for_layer)
    ecr._batch_check_layer_availability = _batch_check_layer_availability
    ecr._initiate_layer_upload = _initiate_layer_upload
    ecr._upload_layer_part = _upload_part
    ecr._complete_layer_upload = _complete_layer_upload
    ecr._delete_repository = _wrap_delete_repository(ecr._delete_repository)
    ecr._put_image = _wrap_put_image(ecr._put_image)
    ecr._select_registry_request_scope = _wrap_registry_scope(ecr._select_registry_request_scope)


def _wrap_get_download_url(original: Callable[[EcrRequest], Any]) -> Callable[[EcrRequest], Any]:
    def url(data: EcrRequest) -> Any:
        status, headers, body = original(data)
        if status != 200:
            return status, headers, body
        path = f"v2/{data['repositoryName']}/blobs/{data['layerDigest']}"
        answer = json.loads(body) | {"downloadUrl": f"http://127.0.0.1:{gateway_port()}/{path}"}
        return json_response(answer)

    return url


def _wrap_batch_delete_image(original: Callable[[EcrRequest], Any]) -> Callable[[EcrRequest], Any]:
    def delete(data: EcrRequest) -> Any:
        """AWS: by its tag an image loses that tag, and goes with its last one; what is gone cannot be pulled."""
        name = data.get("repositoryName", "")
        untagged = []
        remaining = []
        for image_id in data.get("imageIds", []):
            tag = image_id.get("imageTag")
            image = ecr._find_image(name, image_id) if name in ecr._repositories and tag else None
            if image and len(image["imageTags"]) > 1:
                image["imageTags"].remove(tag)
                image["imageId"] = {"imageDigest": image["imageDigest"], "imageTag": image["imageTags"][-1]}
                untagged.append({"imageDigest": image["imageDigest"], "imageTag": tag})
            else:
                remaining.append(image_id)
        if not remaining and untagged:
            return json_response({"imageIds": untagged})
        status, headers, body = original(data | {"imageIds": remaining})
        if status == 200:
            _forget_manifests(name, [image_id["imageDigest"] for image_id in json.loads(body)["imageIds"]])
        return status, headers, body

    return delete


def _forget_manifests(repository: str, digests: list[str]) -> None:
    """Serves the manifests of deleted images no longer; ministack keeps them, and so `docker pull` worked by digest."""
    kept = {image["imageDigest"] for image in ecr._images.get(repository, [])}
    for digest in set(digests) - kept:
        ecr._manifest_blobs.get(repository, {}).pop(digest, None)


def _batch_check_layer_availability(data: EcrRequest) -> Any:
    blobs = ecr._layer_blobs.get(data["repositoryName"], {})
    there = []
    missing = []
    for digest in data["layerDigests"]:
        if digest in blobs:
            there.append({"layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": len(blobs[digest])})
        else:
            missing.append({"layerDigest": digest, "failureCode": "MissingLayerDigest", "failureReason": "not there"})
    return json_response({"layers": there, "failures": missing})


def _initiate_layer_upload(data: EcrRequest) -> Any:
    name = data["repositoryName"]
    upload = new_uuid()
    if name not in ecr._repositories:
        return error_response_json("RepositoryNotFoundException", f"The repository {name} does not exist", 400)
    ecr._uploads.setdefault(name, {})[upload] = bytearray()
    return json_response({"uploadId": upload, "partSize": PART_BYTES})


def _upload_part(data: EcrRequest) -> Any:
    parts = ecr._uploads.get(data["repositoryName"], {}).get(data["uploadId"])
    if parts is None or len(parts) != data["partFirstByte"]:
        return error_response_json("InvalidLayerPartException", "The part does not follow the one before it", 400)
    parts.extend(base64.b64decode(data["layerPartBlob"]))
    return json_response({"uploadId": data["uploadId"], "lastByteReceived": len(parts) - 1})


def _complete_layer_upload(data: EcrRequest) -> Any:
    name, (digest, *_) = data["repositoryName"], data["layerDigests"]
    blob = bytes(ecr._uploads.get(name, {}).pop(data["uploadId"], b""))
    if ecr._content_digest(blob) != digest:
        return error_response_json("InvalidLayerException", f"What was uploaded is not {digest}", 400)
    ecr._layer_blobs.setdefault(name, {})[digest] = blob
    return json_response({"uploadId": data["uploadId"], "layerDigest": digest})


def _wrap_delete_repository(original: Callable[[EcrRequest], Any]) -> Callable[[EcrRequest], Any]:
    def delete(data: EcrRequest) -> Any:
        status, headers, body = original(data)
        if status == 200:
            for store in (ecr._layer_blobs, ecr._manifest_blobs, ecr._uploads):
                store.pop(data["repositoryName"], None)
        return status, headers, body

    return delete


def _wrap_put_image(original: Callable[[EcrRequest], Any]) -> Callable[[EcrRequest], Any]:
    def put(data: EcrRequest) -> Any:
        """AWS: an image whose layers are not there is refused, and one that is put can be pulled by its digest."""
        name = data["repositoryName"]
        text = data["imageManifest"]
        manifest = json.loads(text)
        digest = ecr._image_digest(text)
        if data.get("imageDigest", digest) != digest:
            return error_response_json("ImageDigestDoesNotMatchException", f"The manifest has {digest}", 400)
        needed = [layer["digest"] for layer in manifest.get("layers", [])]
        if set(needed) - set(ecr._layer_blobs.get(name, {})):
            return error_response_json("LayersNotFoundException", "Layers of the manifest are not there", 400)
        status, headers, body = original(data)
        if status == 200:
            ecr._manifest_blobs.setdefault(name, {})[digest] = text.encode()
        return status, headers, body

    return put


def _wrap_registry_scope(original: Callable[..., None]) -> Callable[..., None]:
    """Finds a push's or pull's repository in whichever account it is: on AWS the registry's host names the account."""

    def select(name: str | None, headers: Any, query: Any) -> None:
        original(name, headers, query)
        if not name or name in ecr._repositories:
            return
        owners = [(account, region) for (account, region, each), _ in ecr._repositories.all_items() if each == name]
        if len(owners) == 1:
            set_request_account_id(owners[0][0])
            set_request_region(owners[0][1])

    return select
