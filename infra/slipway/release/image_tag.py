"""Frees an image's tag before the push, because tags of the registry are immutable (ECR.2)."""

from __future__ import annotations

from typing import Any

import pulumi

from slipway.release.aws_errors import aws_errors_as_slipway_errors
from slipway.release.aws_session import open_stack_aws_session


def free_tag_hook(name: str) -> pulumi.ResourceHookBinding:
    """Returns hooks for the image that remove its tag from an older image of the same sources.

    Such an image exists if a change was reverted or the base image is newer, and the registry would refuse the push. It
    gets another tag, so that it does not expire while a service or a rollback needs it.
    """
    aws = open_stack_aws_session()

    def free(args: pulumi.ResourceHookArgs) -> None:
        for tag in (args.new_inputs or {})["tags"]:
            address, _, label = str(tag).rpartition(":")
            with aws_errors_as_slipway_errors():
                retag_existing_image(aws.client("ecr"), address.partition("/")[2], label)

    hook = pulumi.ResourceHook(f"{name}-image-tag", free, opts=pulumi.ResourceHookOptions(on_dry_run=False))
    return pulumi.ResourceHookBinding(before_create=[hook], before_update=[hook])


def retag_existing_image(ecr: Any, repository: str, tag: str) -> None:
    """Retags the image with `tag` as `tag`-`digest`, if there is one."""
    images = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])["images"]
    if not images:
        return
    image = images[0]
    digest = image["imageId"]["imageDigest"]
    (details,) = ecr.describe_images(repositoryName=repository, imageIds=[{"imageDigest": digest}])["imageDetails"]
    new_tag = f"{tag}-{digest.removeprefix('sha256:')[:12]}"
    if new_tag not in details["imageTags"]:
        manifest = {key: image[key] for key in ("imageManifest", "imageManifestMediaType")}
        ecr.put_image(repositoryName=repository, imageTag=new_tag, **manifest)
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": tag}])
