"""`slipway promote`: what one stack serves, on to the next stack by its digest, so that nothing is built twice."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from infra.errors import SlipwayError
from infra.release import rollout
from infra.release.commands import BACK, PINNED
from infra.release.image_copy import Copied, Repository, copy_image
from infra.release.rollout import Service
from infra.release.smoke import Smoke, smoke
from infra.release.speaker import Say
from infra.release.stack import Stack, pulumi
from infra.release.verify import verify


@dataclass(frozen=True)
class Promotion:
    """What is to move, as it was found."""

    source: Stack
    target: Stack
    digest: str

    def json(self) -> dict[str, Any]:
        """For a program."""
        return {"from": self.source.name, "to": self.target.name, "digest": self.digest}


def find(source: Stack, target: Stack, digest: str, say: Say) -> Promotion:
    """Look at what `source` serves; `digest` is what it has to be, where one is given.

    A rollout that is under way is waited for. Raises `SlipwayError` where `source` does not serve it healthily.
    """
    if source.name == target.name:
        raise SlipwayError(f"{source.name} cannot be promoted to itself.", "slipway promote staging prod")
    served = served_by(source, say)
    if digest and digest != served:
        raise SlipwayError(
            f"{source.name} serves {served}, and not {digest}.",
            "Another release has come in between: promote what serves, or roll back to this one first.",
        )
    return Promotion(source, target, served)


def served_by(stack: Stack, say: Say) -> str:
    """The digest of the app's image that every service of the stack serves, each seen to be healthy.

    Raises `SlipwayError` where the newest rollout of one did not succeed, tasks are missing or unhealthy, the front
    door does not answer, or two services run different images.
    """
    digests: dict[str, str] = {}
    for process, name in stack.services.items():
        newest = rollout.newest(stack.aws, stack.cluster, name)
        if newest is None:
            raise SlipwayError(f"ECS knows no deployment of {name}.", f"pulumi up --stack {stack.name}")
        found = verify(stack.aws, Service(stack.cluster, name, newest.task_definition), say, again=False)
        if not found.digests.get(process):
            raise SlipwayError(f"No task of {name} runs, so nothing says that its image is good.")
        digests[process] = found.digests[process]
    if len(set(digests.values())) != 1:
        told = ", ".join(f"{process} {digest}" for process, digest in digests.items())
        raise SlipwayError(f"The processes of {stack.name} run different images: {told or 'none'}.", "pulumi up")
    say(smoke(Smoke(stack.outputs["url"].rstrip("/") + stack.outputs["health"]["live"])))
    return digests.popitem()[1]


def carry_out(promotion: Promotion, *, dry_run: bool = False) -> Copied:
    """Copy the image, and name its digest in the target's configuration; the next `up` of the target deploys it."""
    digest = promotion.digest
    tag = f"promoted-{digest.removeprefix('sha256:')[:12]}"  # without a tag the registry would expire it
    copied = copy_image(_repository(promotion.source), _repository(promotion.target), digest, tag, dry_run=dry_run)
    if not dry_run:
        pulumi("config", "set", PINNED, digest, "--stack", promotion.target.name)
        pulumi("config", "rm", BACK, "--stack", promotion.target.name)  # forward again, where it had gone back
    return copied


def _repository(stack: Stack) -> Repository:
    return Repository(stack.aws, stack.outputs["foundation"]["registry"]["arn"].partition(":repository/")[2])


def as_json(promotion: Promotion, copied: Copied, *, dry_run: bool) -> dict[str, Any]:
    """For a program."""
    return promotion.json() | {"copied": asdict(copied), "dry_run": dry_run}
