"""Builds the kit's own images: docker/<folder> on a base image."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pulumi

from slipway.components.container_image import ContainerImage
from slipway.components.outputs import RepositoryOutputs
from slipway.program.component_args.images import kit_image_args
from slipway.program.stack_context import StackContext
from slipway.release.image_tag import free_tag_hook


def build_kit_image(
    context: StackContext,
    registry: RepositoryOutputs,
    folder: str,
    base_image: str,
    *,
    name: str = "",
    stores: Collection[str] = (),
    files: Mapping[str, Path] | None = None,
) -> pulumi.Output[str]:
    """Builds docker/`folder` and returns the image's reference with its digest.

    `name`: the resource's name. Default: `folder`. `stores`: stores whose certificate authorities the image contains.
    `files`: see `kit_image_args`.
    """
    resource_name = f"{context.name}-{name or folder}"
    args = kit_image_args(
        folder,
        base_image,
        context.settings,
        registry=registry,
        hooks=free_tag_hook(resource_name),
        stores=stores,
        files=files,
    )
    return ContainerImage(resource_name, args).reference
