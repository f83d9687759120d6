"""Which very images are built from, and since when: docker/pins.yaml, which `slipway image refresh` writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from infra.errors import SlipwayError
from infra.settings import DIGEST, ROOT

FILE = Path("docker") / "pins.yaml"


@dataclass(frozen=True)
class Pins:
    """What the file says."""

    refreshed: str
    """The day on which its digests were read, ISO 8601: part of each image's tag."""
    digests: Mapping[str, str]
    """Image with its tag -> the digest that it is built from."""

    def pinned(self, image: str) -> str:
        """The image by its digest, where that is known and not said already."""
        digest = self.digests.get(image)
        return f"{image}@{digest}" if digest else image


def read(root: Path = ROOT) -> Pins:
    """Raises `SlipwayError` where the file does not say what it should."""
    file = root / FILE
    found = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}) if file.is_file() else {}
    digests = found.get("digests") or {}
    wrong = [str(image) for image, digest in digests.items() if not digest or not re.match(DIGEST, str(digest))]
    if wrong:
        raise SlipwayError(f"{FILE}: {', '.join(wrong)} has no digest like sha256:...", "slipway image refresh")
    return Pins(str(found.get("refreshed") or ""), digests)
