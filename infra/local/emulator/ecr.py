"""ECR: a tag can be taken from an image that has another one, and the address of a blob leads to it.

ministack deletes the whole image, and names an address of the real AWS.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ministack.core.responses import json_response
from ministack.services import ecr

from infra.local.emulator.labels import port

Request = dict[str, Any]


def install() -> None:
    """In the place of ministack's."""
    ecr._batch_delete_image = _untagging(ecr._batch_delete_image)
    ecr._get_download_url_for_layer = _local(ecr._get_download_url_for_layer)


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
