"""A registry in memory, which may be killed after any call."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.infra.fake_pulumi import Killer

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
PART = 4  # bytes, so that each blob has several


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class FakeEcr:
    """The registry of one account. It refuses what ECR does: a manifest before its parts, a blob of another digest."""

    exceptions = SimpleNamespace(LayerAlreadyExistsException=KeyError, RepositoryNotFoundException=LookupError)

    def __init__(self, killer: Killer, folder: Path) -> None:
        self.killer, self.folder = killer, folder
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.tags: dict[str, str] = {}
        self.uploads: dict[str, bytes] = {}

    def of(self, _: str) -> FakeEcr:
        return self

    def client(self, _: str) -> FakeEcr:
        return self

    def add(self, manifest: dict[str, Any]) -> str:
        content = json.dumps(manifest).encode()
        self.manifests[sha256(content)] = content
        return sha256(content)

    def add_image(self, *layers: bytes) -> str:
        self.blobs |= {sha256(layer): layer for layer in layers}
        config, *rest = ({"digest": sha256(layer)} for layer in layers)
        return self.add({"config": config, "layers": rest})

    def batch_get_image(self, imageIds: list[dict[str, str]], **_: Any) -> Any:
        self.killer.tick("batch_get_image")
        digest = imageIds[0]["imageDigest"]
        if digest not in self.manifests:
            return {"images": [], "failures": [{"failureCode": "ImageNotFound"}]}
        text = self.manifests[digest].decode()
        return {"images": [{"imageManifest": text, "imageManifestMediaType": MANIFEST}]}

    def batch_check_layer_availability(self, layerDigests: list[str], **_: Any) -> Any:
        self.killer.tick("batch_check_layer_availability")
        states = {digest: "AVAILABLE" if digest in self.blobs else "UNAVAILABLE" for digest in layerDigests}
        return {"layers": [{"layerDigest": digest, "layerAvailability": state} for digest, state in states.items()]}

    def get_download_url_for_layer(self, layerDigest: str, **_: Any) -> Any:
        path = self.folder / layerDigest.removeprefix("sha256:")
        path.write_bytes(self.blobs[layerDigest])
        return {"downloadUrl": path.as_uri()}

    def initiate_layer_upload(self, **_: Any) -> Any:
        upload = str(len(self.uploads))
        self.uploads[upload] = b""
        self.killer.tick("initiate_layer_upload")
        return {"uploadId": upload, "partSize": PART}

    def upload_layer_part(
        self, uploadId: str, partFirstByte: int, partLastByte: int, layerPartBlob: bytes, **_: Any
    ) -> None:
        assert (partFirstByte, partLastByte + 1 - partFirstByte) == (len(self.uploads[uploadId]), len(layerPartBlob))
        self.uploads[uploadId] += layerPartBlob
        self.killer.tick("upload_layer_part")

    def complete_layer_upload(self, uploadId: str, layerDigests: list[str], **_: Any) -> None:
        assert layerDigests == [sha256(self.uploads[uploadId])]
        self.blobs[layerDigests[0]] = self.uploads[uploadId]
        self.killer.tick("complete_layer_upload")

    def put_image(self, imageManifest: str, imageDigest: str, imageTag: str = "", **_: Any) -> None:
        manifest = json.loads(imageManifest)
        parts = [*manifest.get("layers", []), *([manifest["config"]] if "config" in manifest else [])]
        assert all(part["digest"] in self.blobs for part in parts)
        assert all(child["digest"] in self.manifests for child in manifest.get("manifests", []))
        assert imageDigest == sha256(imageManifest.encode())
        self.manifests[imageDigest] = imageManifest.encode()
        if imageTag:
            self.tags[imageTag] = imageDigest
        self.killer.tick("put_image")
