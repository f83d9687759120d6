"""Pinned base image digests and their date: docker/pins.yaml, which `slipway image refresh` writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.config.errors import SlipwayError
from slipway.config.project import project_root
from slipway.config.setting_sections.release import IMAGE_DIGEST_PATTERN
from slipway.config.text_files import read_yaml_mapping

IMAGE_DIGESTS_FILE = Path("docker") / "pins.yaml"


@dataclass(frozen=True)
class ImageDigests:
    """The contents of docker/pins.yaml."""

    refreshed: str
    """The day on which the digests were read, ISO 8601: part of each image's tag."""
    digests: Mapping[str, str]
    """Digest by image with tag, such as `python:3.11-slim`."""

    def pinned(self, image: str) -> str:
        """Returns the image with its pinned digest; unchanged where none is pinned."""
        digest = self.digests.get(image)
        return f"{image}@{digest}" if digest else image


def load_image_digests(root: Path | None = None) -> ImageDigests:
    """Returns the pinned digests, none where there is no file. Raises `SlipwayError` where the file is wrong."""
    file = (root or project_root()) / IMAGE_DIGESTS_FILE
    if not file.exists():
        return ImageDigests("", {})
    document = read_yaml_mapping(file, str(IMAGE_DIGESTS_FILE))
    digests = document.get("digests") or {}
    if not isinstance(digests, dict):
        raise SlipwayError(
            f"{IMAGE_DIGESTS_FILE}: digests is not a mapping of images to digests.",
            "Correct the file, or delete it and run: slipway image refresh",
        )
    wrong = [
        str(image)
        for image, digest in digests.items()
        if not digest or not re.fullmatch(IMAGE_DIGEST_PATTERN, str(digest))
    ]
    if wrong:
        raise SlipwayError(
            f"{IMAGE_DIGESTS_FILE}: {', '.join(wrong)} has no digest like sha256:...", "Run: slipway image refresh"
        )
    return ImageDigests(str(document.get("refreshed") or ""), digests)
