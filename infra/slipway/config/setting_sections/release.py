"""Settings of container images and of how they are rolled out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from slipway.config.setting_sections.base import SettingSection

IMAGE_DIGEST_PATTERN = r"^(sha256:[0-9a-f]{64})?$"
"""The digest of a container image; empty for none."""


class ImageSettings(SettingSection):
    """Images"""

    base_image: Annotated[str, Field(pattern=r"^[a-z0-9][\w./:@-]+$")] = "python:3.11-slim"
    """The base image of the app's image, for docker/app."""
    pin_images: bool = True
    """Whether base images are taken by the digests in docker/pins.yaml, and not by their tags."""
    build_network: Literal["default", "host"] = "default"
    """The network of image builds."""
    architecture: Literal["X86_64", "ARM64"] = "X86_64"
    """The CPU architecture of tasks; the image is built for it."""


class ReleaseSettings(SettingSection):
    """Release"""

    image_digest: Annotated[str, Field(pattern=IMAGE_DIGEST_PATTERN)] = ""
    """The image to deploy in place of one that is built from the sources: sha256:... `slipway promote` sets it."""
    rollback_to: Annotated[str, Field(pattern=IMAGE_DIGEST_PATTERN)] = ""
    """The earlier image to go back to. It takes precedence over imageDigest and the sources, and its migrations do
    not run. `slipway rollback` sets it."""
    deploy_profile: Literal["fast", "safe", "streaming", "quick"] = "fast"
    """How a release is rolled out: fast; safe (alarms roll it back); streaming (responses of up to 100 s,
    WebSockets); quick (old tasks get 10 s, for previews and this machine)."""
    settle_seconds: Annotated[int, Field(ge=0, le=600)] = 30
    """Seconds that tasks without a health check have to run before their rollout counts as a success."""
    release_timeout_minutes: Annotated[int, Field(ge=1, le=720)] = 10
    """Minutes that the release task (migrations) may take."""
