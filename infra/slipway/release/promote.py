"""`slipway promote`: deploys one stack's running image to another stack by its digest, without a build."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from slipway.config.errors import SlipwayError
from slipway.release import rollout
from slipway.release.deployed_stack import DeployedStack
from slipway.release.image_copy import CopyResult, ImageRepository, copy_image
from slipway.release.operations import IMAGE_DIGEST_SETTING, ROLLBACK_SETTING
from slipway.release.progress import ProgressReporter
from slipway.release.rollout import ExpectedService
from slipway.release.smoke_test import SmokeTest, run_smoke_test
from slipway.release.stack_configuration import read_stack_setting, write_stack_setting
from slipway.release.verify import verify_rollout


@dataclass(frozen=True)
class Promotion:
    """An image to deploy from one stack to another."""

    source: DeployedStack
    target: DeployedStack
    digest: str

    def json(self) -> dict[str, Any]:
        """Returns the object of `--json`."""
        return {"from": self.source.name, "to": self.target.name, "digest": self.digest}


def plan_promotion(source: DeployedStack, target: DeployedStack, digest: str, say: ProgressReporter) -> Promotion:
    """Verifies the running image of `source`; `digest`: the expected one, if given.

    Waits for a rollout in progress. Raises `SlipwayError` if `source` runs another image, or is unhealthy.
    """
    if source.name == target.name:
        raise SlipwayError(f"{source.name} cannot be promoted to itself.", "slipway promote staging prod")
    served = find_served_digest(source, say)
    if digest and digest != served:
        raise SlipwayError(
            f"{source.name} runs {served}, and not {digest}.",
            "It was deployed after this one: promote the running image, or roll back to this one first.",
        )
    return Promotion(source, target, served)


def find_served_digest(stack: DeployedStack, say: ProgressReporter) -> str:
    """Returns the digest of the app's image that every service of the stack runs, after checking their health.

    Raises `SlipwayError` if the newest rollout of one failed, tasks are missing or unhealthy, the app does not answer
    through the load balancer, or two services run different images.
    """
    digests: dict[str, str] = {}
    for process, name in stack.services.items():
        newest = rollout.get_newest_deployment(stack.aws, stack.cluster, name)
        if newest is None:
            raise SlipwayError(
                f"ECS has no deployment of {name}, so nothing can be promoted.", f"pulumi up --stack {stack.name}"
            )
        expected = ExpectedService(stack.cluster, name, newest.task_definition)
        verified = verify_rollout(stack.aws, expected, say, again=False, stack=stack.name)
        if not verified.digests.get(process):
            raise SlipwayError(
                f"No task of {name} runs, so its image is not verified.", f"pulumi up --stack {stack.name}"
            )
        if process in stack.app_services:  # the target builds the others
            digests[process] = verified.digests[process]
    if len(set(digests.values())) != 1:
        images = ", ".join(f"{process} {digest}" for process, digest in digests.items()) or "none"
        raise SlipwayError(
            f"The processes of {stack.name} run different images: {images}.", f"pulumi up --stack {stack.name}"
        )
    if not stack.outputs.get("internal"):  # only networks of the team's own reach an internal load balancer
        say(run_smoke_test(SmokeTest(stack.outputs["url"].rstrip("/") + stack.outputs["health"]["live"])))
    return digests.popitem()[1]


def promote_image(promotion: Promotion, *, dry_run: bool = False) -> CopyResult:
    """Copies the image, then sets its digest in the target's configuration; the target's next `up` deploys it.

    Removes a rollback's pin last: if interrupted before, the target stays pinned, and the same command continues.
    Raises `SlipwayError`.
    """
    digest = promotion.digest
    tag = f"promoted-{digest.removeprefix('sha256:')[:12]}"  # the registry expires images without a tag
    source = _image_repository(promotion.source)
    target = _image_repository(promotion.target)
    copied = copy_image(source, target, digest, tag, dry_run=dry_run)
    if dry_run:
        return copied
    stack = promotion.target.name
    if target.manifest(digest) is None:
        raise SlipwayError(
            f"The registry {target.name} has no image {digest} after the copy.", "Run the same command again."
        )
    write_stack_setting(stack, IMAGE_DIGEST_SETTING, digest)
    if read_stack_setting(stack, ROLLBACK_SETTING):
        write_stack_setting(stack, ROLLBACK_SETTING, None)
    return copied


def _image_repository(stack: DeployedStack) -> ImageRepository:
    return ImageRepository(stack.aws, stack.outputs["foundation"]["registry"]["arn"].partition(":repository/")[2])


def promotion_as_json(promotion: Promotion, copied: CopyResult, *, dry_run: bool) -> dict[str, Any]:
    """Returns the object of `--json`."""
    return promotion.json() | {"copied": asdict(copied), "dry_run": dry_run}
