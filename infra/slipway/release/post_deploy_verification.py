"""Verifies each ECS service at the end of every `up`, as a part of the Pulumi program.

Resource hooks do not run for an unchanged resource, and after a failed after-hook the state still records the change as
done. So the program itself waits for the outputs of the service, which resolve when Pulumi has updated it or found it
unchanged; an error here is the program's, and Pulumi exits with 1. Replaced resources are deleted afterwards: an old
target group exists as long as ECS may roll back to it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar
from weakref import WeakKeyDictionary

import pulumi

from slipway.config.errors import SlipwayError
from slipway.release.aws_errors import aws_errors_as_slipway_errors
from slipway.release.aws_session import AwsSession, open_stack_aws_session
from slipway.release.deployments import deregister_oldest_revisions
from slipway.release.operations import ROLLBACK_SETTING
from slipway.release.progress import ProgressReporter, create_progress_reporter
from slipway.release.rollout import ROLLOUT_TIMEOUT_SECONDS, SETTLE_SECONDS, ExpectedService
from slipway.release.scale import restore_task_counts
from slipway.release.smoke_test import SmokeTest
from slipway.release.verify import VerifiedRollout, verify_rollout

Result = TypeVar("Result")
MESSAGE_SHOWN_EXIT_CODE = 32
"""Exit code that tells Pulumi's language host that the program has printed its error."""


@dataclass
class _ProgramRun:
    """State that the verifications of one run of the program share."""

    services: list[ExpectedService] = field(default_factory=list)
    """Services whose update is done: a failure lists the release of each."""
    is_pin_reported: bool = False


_runs: WeakKeyDictionary[asyncio.AbstractEventLoop, _ProgramRun] = WeakKeyDictionary()


async def run_in_thread(work: Callable[[], Result]) -> Result:
    """Runs blocking work in a thread; returns its result. A `SlipwayError` or an AWS error ends the program."""
    try:
        return await asyncio.to_thread(_with_aws_errors_converted, work)
    except SlipwayError as error:
        end_program(error)


def change_on_every_up(
    resource: pulumi.Input[str],
    ready: Sequence[pulumi.Output[Any]],
    change: Callable[[AwsSession, str, ProgressReporter], None],
    value: Result,
) -> pulumi.Output[Result]:
    """Runs `change` with `resource` when `ready` is known, on every `up`, never in a preview; returns `value` then."""
    aws = open_stack_aws_session()

    async def work(resolved: list[Any]) -> Result:
        if not pulumi.runtime.is_dry_run():
            report = create_progress_reporter()
            await run_in_thread(lambda: change(aws, resolved[0], report))
        return value

    return pulumi.Output.all(resource, *ready).apply(work)


def end_program(error: SlipwayError) -> NoReturn:
    """Logs the error and ends the program: Pulumi fails the update, and prints the text once.

    Pulumi would print a `pulumi.RunError` a second time, as "an unhandled error occurred".
    """
    pulumi.log.error(str(error))
    raise SystemExit(MESSAGE_SHOWN_EXIT_CODE)


def _with_aws_errors_converted(work: Callable[[], Result]) -> Result:
    with aws_errors_as_slipway_errors():
        return work()


def verify_rollout_on_every_up(
    service: pulumi.Resource,
    *,
    cluster_arn: pulumi.Input[str],
    name: pulumi.Input[str],
    task_definition_arn: pulumi.Input[str],
    url: pulumi.Input[str] | None = None,
    host: pulumi.Input[str] = "",
    release: pulumi.Input[str] | None = None,
    max_protected_seconds: float = 0,
    settle_seconds: float = SETTLE_SECONDS,
    task_counts: tuple[int, int] | None = None,
) -> pulumi.Output[str]:
    """Returns the running digests after `verify_rollout` has passed; empty in `pulumi preview`, which verifies nothing.

    `url`: a path behind the load balancer that must answer, with `release` if given; `host`: the Host header of that
    request, if it differs from the URL's. `max_protected_seconds`: how long a task with scale-in protection may delay
    the rollout. `settle_seconds`: minimum age of tasks of a service without a health check.
    `task_counts`: smallest and largest number of tasks, which end what `slipway scale` has set.
    """
    aws = open_stack_aws_session()
    stack = pulumi.get_stack()
    pinned_digest = pulumi.Config().get(ROLLBACK_SETTING) or ""

    async def verify(resolved: list[Any]) -> str:
        cluster, service_name, definition, address, host_header, expected_release = resolved
        if pulumi.runtime.is_dry_run():
            return ""
        run = _runs.setdefault(asyncio.get_running_loop(), _ProgramRun())
        smoke_test = SmokeTest(address, expected_release, host=host_header) if address else None
        began = time.monotonic()
        say = create_progress_reporter(service)
        expected = ExpectedService(cluster, service_name, definition, settle_seconds)
        run.services.append(expected)

        def work() -> VerifiedRollout:
            if task_counts:
                restore_task_counts(aws, expected, *task_counts, say)
            verified = verify_rollout(
                aws,
                expected,
                say,
                front_door=smoke_test,
                timeout=ROLLOUT_TIMEOUT_SECONDS + max_protected_seconds,
                siblings=run.services,
                stack=stack,
            )
            deregister_oldest_revisions(aws, cluster, _task_definition_family(definition), service_name)
            return verified

        verified = await run_in_thread(work)
        say(f"{service_name} runs {definition.rsplit('/', 1)[-1]}, verified after {time.monotonic() - began:.0f} s")
        if pinned_digest and not run.is_pin_reported:
            run.is_pin_reported = True
            pulumi.log.warn(pinned_rollback_warning(pinned_digest, stack))
        return ", ".join(sorted(set(verified.digests.values())))

    return pulumi.Output.all(cluster_arn, name, task_definition_arn, url, host, release).apply(verify)


def pinned_rollback_warning(digest: str, stack: str) -> str:
    """Returns the warning at the end of an `up` of a stack that a rollback has pinned."""
    return (
        f"THE SOURCES WERE NOT DEPLOYED: {stack} is pinned by a rollback to the image {digest[:19]} "
        f"({ROLLBACK_SETTING} in its stack file). To end that: slipway rollback {stack} --end, then "
        f"pulumi up --stack {stack}"
    )


def deregister_old_task_definitions(
    created: pulumi.Input[Any], *, cluster_arn: pulumi.Input[str], task_definition_arn: pulumi.Input[str]
) -> pulumi.Output[list[str]]:
    """Deregisters old revisions of a family of standalone tasks; returns their ARNs.

    `created`: a resource that was created from the newest revision; the function waits for it.
    """
    aws = open_stack_aws_session()

    async def deregister(resolved: list[Any]) -> list[str]:
        _, cluster, definition = resolved
        if pulumi.runtime.is_dry_run():
            return []
        return await run_in_thread(
            lambda: deregister_oldest_revisions(aws, cluster, _task_definition_family(definition))
        )

    return pulumi.Output.all(created, cluster_arn, task_definition_arn).apply(deregister)


def _task_definition_family(task_definition_arn: str) -> str:
    return task_definition_arn.rsplit("/", 1)[-1].rpartition(":")[0]
