"""ECR: a tag can be taken from an image that has another one, the address of a blob leads to it, layers are uploaded.

ministack deletes the whole image, names an address of the real AWS, answers uploads by ECR's own API without keeping
them, and keeps the layers of a repository that is deleted.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json, json_response, new_uuid
from ministack.services import ecr

from infra.local.emulator.labels import port

Request = dict[str, Any]
PART_BYTES = 10 * 1024 * 1024
"""What ECR asks for at a time."""


def install() -> None:
    """In the place of ministack's."""
    ecr._batch_delete_image = _untagging(ecr._batch_delete_image)
    ecr._get_download_url_for_layer = _local(ecr._get_download_url_for_layer)
    ecr._batch_check_layer_availability = _available
    ecr._initiate_layer_upload = _begin_upload
    ecr._upload_layer_part = _upload_part
    ecr._complete_layer_upload = _end_upload
    ecr._delete_repository = _with_all_that_is_in_it(ecr._delete_repository)
    ecr._put_image = _with_its_layers(ecr._put_image)


def _local(original: Callable[[Request], Any]) -> Callable[[Request], Any]:
    def url(data: Request) -> Any:
        status, headers, body = original(data)
        if status != 200:
            return status, headers, body
        path = f"v2/{data['repositoryName']}/blobs/{data['layerDigest']}"
        answer = json.loads(body) | {"downloadUrl": f"http://127.0.0.1:{port()}/{path}"}
        return json_response(answer)

    return url


def _untagging(original: Callable[[Request], Any]) -> Callable[[Request], Any]:
    def delete(data: Request) -> Any:
        """AWS: by its tag an image loses that tag, and goes with its last one."""
        name, taken, rest = data.get("repositoryName", ""), [], []
        for given in data.get("imageIds", []):
            tag = given.get("imageTag")
            image = ecr._find_image(name, given) if name in ecr._repositories and tag else None
            if image and len(image["imageTags"]) > 1:
                image["imageTags"].remove(tag)
                image["imageId"] = {"imageDigest": image["imageDigest"], "imageTag": image["imageTags"][-1]}
                taken.append({"imageDigest": image["imageDigest"], "imageTag": tag})
            else:
                rest.append(given)
        return original(data | {"imageIds": rest}) if rest or not taken else json_response({"imageIds": taken})

    return delete


def _available(data: Request) -> Any:
    blobs = ecr._layer_blobs.get(data["repositoryName"], {})
    there, missing = [], []
    for digest in data["layerDigests"]:
        if digest in blobs:
            there.append({"layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": len(blobs[digest])})
        else:
            missing.append({"layerDigest": digest, "failureCode": "MissingLayerDigest", "failureReason": "not there"})
    return json_response({"layers": there, "failures": missing})


def _begin_upload(data: Request) -> Any:
    name, upload = data["repositoryName"], new_uuid()
    if name not in ecr._repositories:
        return error_response_json("RepositoryNotFoundException", f"The repository {name} does not exist", 400)
    ecr._uploads.setdefault(name, {})[upload] = bytearray()
    return json_response({"uploadId": upload, "partSize": PART_BYTES})


def _upload_part(data: Request) -> Any:
    parts = ecr._uploads.get(data["repositoryName"], {}).get(data["uploadId"])
    if parts is None or len(parts) != data["partFirstByte"]:
        return error_response_json("InvalidLayerPartException", "The part does not follow the one before it", 400)
    parts.extend(base64.b64decode(data["layerPartBlob"]))
    return json_response({"uploadId": data["uploadId"], "lastByteReceived": len(parts) - 1})


def _end_upload(data: Request) -> Any:
    name, (digest, *_) = data["repositoryName"], data["layerDigests"]
    blob = bytes(ecr._uploads.get(name, {}).pop(data["uploadId"], b""))
    if ecr._content_digest(blob) != digest:
        return error_response_json("InvalidLayerException", f"What was uploaded is not {digest}", 400)
    ecr._layer_blobs.setdefault(name, {})[digest] = blob
    return json_response({"uploadId": data["uploadId"], "layerDigest": digest})


def _with_all_that_is_in_it(original: Callable[[Request], Any]) -> Callable[[Request], Any]:
    def delete(data: Request) -> Any:
        status, headers, body = original(data)
        if status == 200:
            for store in (ecr._layer_blobs, ecr._manifest_blobs, ecr._uploads):
                store.pop(data["repositoryName"], None)
        return status, headers, body

    return delete


def _with_its_layers(original: Callable[[Request], Any]) -> Callable[[Request], Any]:
    def put(data: Request) -> Any:
        """AWS: an image whose layers are not there is refused, and one that is put can be pulled by its digest."""
        name, text = data["repositoryName"], data["imageManifest"]
        manifest, digest = json.loads(text), ecr._image_digest(text)
        if data.get("imageDigest", digest) != digest:
            return error_response_json("ImageDigestDoesNotMatchException", f"The manifest has {digest}", 400)
        needed = [each["digest"] for each in manifest.get("layers", [])]
        if set(needed) - set(ecr._layer_blobs.get(name, {})):
            return error_response_json("LayersNotFoundException", "Layers of the manifest are not there", 400)
        status, headers, body = original(data)
        if status == 200:
            ecr._manifest_blobs.setdefault(name, {})[digest] = text.encode()
        return status, headers, body

    return put
