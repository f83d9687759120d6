"""The release in the program: looked at on every `up`, when the engine has made its changes, and told as it goes.

A resource's hooks do not run where nothing of it changed, and a hook that fails after a change leaves it recorded as
made. So this is a part of the program itself: it waits for the outputs of the service, which are there when the engine
has changed it or has seen that it need not be, and an error in it is one of the program, on which the engine exits
with 1. What the update replaced is deleted after it: an old target group stays for as long as ECS may go back to it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pulumi

from infra.errors import SlipwayError
from infra.release.client import session
from infra.release.deployments import deregister_oldest
from infra.release.rollout import TIMEOUT_SECONDS, Service
from infra.release.smoke import Smoke
from infra.release.speaker import speaker
from infra.release.verify import Verified, verify

Result = TypeVar("Result")


async def in_background(work: Callable[[], Result]) -> Result:
    """Run something that waits beside the program; the error of a user's becomes one without a stack trace."""
    try:
        return await asyncio.to_thread(work)
    except SlipwayError as error:
        raise pulumi.RunError(str(error)) from None


def verified_on_every_up(
    service: pulumi.Resource,
    *,
    cluster_arn: pulumi.Input[str],
    name: pulumi.Input[str],
    task_definition_arn: pulumi.Input[str],
    url: pulumi.Input[str] | None = None,
    host: pulumi.Input[str] = "",
    release: pulumi.Input[str] | None = None,
    longest_job: float = 0,
) -> pulumi.Output[str]:
    """The digests that serve, once they were seen to: see `verify`. In a preview nothing is looked at.

    `url`: of a path behind the load balancer that has to answer, as `release` where that is given; `host`: the name
    that it is asked by, where that is not the URL's. `longest_job`: seconds that a task which is protected may hold the
    rollout up.
    """
    aws = session()

    async def look(found: list[Any]) -> str:
        cluster, service_name, definition, address, name_there, wanted = found
        if pulumi.runtime.is_dry_run():
            return ""
        front_door = Smoke(address, wanted, host=name_there) if address else None
        began, say = time.monotonic(), speaker(service)
        asked = Service(cluster, service_name, definition)

        def work() -> Verified:
            seen = verify(aws, asked, say, front_door=front_door, timeout=TIMEOUT_SECONDS + longest_job)
            deregister_oldest(aws, cluster, _family(definition), service_name)
            return seen

        seen = await in_background(work)
        say(f"{service_name} serves {definition.rsplit('/', 1)[-1]}, verified after {time.monotonic() - began:.0f} s")
        return ", ".join(sorted(set(seen.digests.values())))

    return pulumi.Output.all(cluster_arn, name, task_definition_arn, url, host, release).apply(look)


def oldest_revisions_go(
    made: pulumi.Input[Any], *, cluster_arn: pulumi.Input[str], task_definition_arn: pulumi.Input[str]
) -> pulumi.Output[list[str]]:
    """The revisions of a family of one-off tasks that went, once what was `made` of the newest is there."""
    aws = session()

    async def trim(found: list[Any]) -> list[str]:
        _, cluster, definition = found
        if pulumi.runtime.is_dry_run():
            return []
        return await in_background(lambda: deregister_oldest(aws, cluster, _family(definition)))

    return pulumi.Output.all(made, cluster_arn, task_definition_arn).apply(trim)


def _family(definition: str) -> str:
    """Of a task definition's ARN."""
    return definition.rsplit("/", 1)[-1].rpartition(":")[0]
