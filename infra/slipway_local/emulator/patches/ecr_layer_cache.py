"""Image layers that a registry of this machine was given once: no later one has them compressed and sent again.

Docker asks a registry for a layer before it compresses it, which takes 20 s of a core for the app's image. A local AWS
starts empty, so without these each one, each clone's and each test's, would make Docker do it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ministack.services import ecr

from slipway_local.paths import cache_dir

MIN_LAYER_BYTES = 1024 * 1024
"""A smaller layer is as quickly sent."""
MAX_CACHE_BYTES = 2 * 1024**3
"""In all; beyond it those go first that were not asked for the longest."""


def layer_cache_dir() -> Path:
    """Returns the cache's folder: each layer is a file that is named after its digest."""
    return cache_dir() / "layers"


def install() -> None:
    """Wrap the end of a layer upload, and the check whether a layer exists."""
    ecr._v2_complete_blob_upload = _wrap_complete_upload(ecr._v2_complete_blob_upload)
    ecr._v2_head_blob = _wrap_head_blob(ecr._v2_head_blob)


def _wrap_complete_upload(original: Callable[..., Any]) -> Callable[..., Any]:
    def complete(name: str, *arguments: Any) -> Any:
        before = set(ecr._layer_blobs.get(name, {}))
        answer = original(name, *arguments)
        for digest in set(ecr._layer_blobs.get(name, {})) - before:
            _store_layer(digest, ecr._layer_blobs[name][digest])
        return answer

    return complete


def _wrap_head_blob(original: Callable[..., Any]) -> Callable[..., Any]:
    def head(name: str, digest: str) -> Any:
        if name in ecr._repositories and digest not in ecr._layer_blobs.get(name, {}):
            found = _load_layer(digest)
            if found:
                ecr._layer_blobs.setdefault(name, {})[digest] = found
        return original(name, digest)

    return head


def _store_layer(digest: str, layer: bytes) -> None:
    if len(layer) < MIN_LAYER_BYTES:
        return
    layer_cache_dir().mkdir(exist_ok=True, mode=0o700)
    with tempfile.NamedTemporaryFile(dir=layer_cache_dir(), delete=False) as partial:
        partial.write(layer)
    Path(partial.name).rename(layer_cache_dir() / digest)
    size = 0
    with contextlib.suppress(FileNotFoundError):  # another local AWS does the same: the next upload looks again
        for path in sorted(layer_cache_dir().iterdir(), key=lambda path: path.stat().st_mtime, reverse=True):
            size += path.stat().st_size
            if size > MAX_CACHE_BYTES:
                path.unlink()


def _load_layer(digest: str) -> bytes:
    """Returns the layer, or nothing where there is none, or not the one that its name says."""
    path = layer_cache_dir() / digest
    if "/" in digest or not path.is_file():
        return b""
    layer = path.read_bytes()
    if f"sha256:{hashlib.sha256(layer).hexdigest()}" != digest:
        path.unlink(missing_ok=True)
        return b""
    os.utime(path)
    return layer
