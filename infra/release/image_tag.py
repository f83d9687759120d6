"""Before an image is pushed its tag is made free: the registry lets no tag move (ECR.2)."""

from __future__ import annotations

from typing import Any

import pulumi

from infra.release.client import session


def before_the_image_is_pushed(name: str) -> pulumi.ResourceHookBinding:
    """Hooks of the image that take its tag from an older image which was built of the same sources.

    That happens when a change is taken back, or the base image is newer: the registry would refuse the push. The older
    image keeps a tag of its own, so that it does not expire while a service, or a rollback, still needs it.
    """
    aws = session()

    def free(args: pulumi.ResourceHookArgs) -> None:
        for tag in (args.new_inputs or {})["tags"]:
            address, _, label = str(tag).rpartition(":")
            free_the_tag(aws.client("ecr"), address.partition("/")[2], label)

    hook = pulumi.ResourceHook(f"{name}-image-tag", free, opts=pulumi.ResourceHookOptions(on_dry_run=False))
    return pulumi.ResourceHookBinding(before_create=[hook], before_update=[hook])


def free_the_tag(ecr: Any, repository: str, tag: str) -> None:
    """Tag the image that has `tag` with `tag`-`digest` instead; nothing where no image has it."""
    found = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])["images"]
    if not found:
        return
    (image,) = found
    digest = image["imageId"]["imageDigest"]
    (about,) = ecr.describe_images(repositoryName=repository, imageIds=[{"imageDigest": digest}])["imageDetails"]
    kept = f"{tag}-{digest.removeprefix('sha256:')[:12]}"
    if kept not in about["imageTags"]:
        manifest = {key: image[key] for key in ("imageManifest", "imageManifestMediaType")}
        ecr.put_image(repositoryName=repository, imageTag=kept, **manifest)
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": tag}])
