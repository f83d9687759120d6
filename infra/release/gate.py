"""What has to hold before anything runs new code, bound to the resources that would: room in the account, the image,
the migrated database.

Room is looked at before each service changes, in a preview too. The database is migrated when the release step's task
definition is another one than it was migrated with last: which one that was is a value of the state (`pulumi.Stash`),
and whatever runs the app's code depends on it. So a migration that failed is run again by the next `up`, and a change
that is neither of the image nor of the step's settings runs none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pulumi
from botocore.exceptions import BotoCoreError, ClientError
from pulumi.resource_hooks import ResourceHookFunction

from infra.errors import SlipwayError
from infra.release.capacity import Release, Tasks, addresses_in_use, check_addresses, check_range, check_release
from infra.release.client import Aws, session
from infra.release.migrate import TIMEOUT_SECONDS, Migration, Words, run
from infra.release.speaker import Say, speaker


@dataclass(frozen=True)
class Step:
    """The release step, as it is run."""

    task_definition_arn: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    security_group_id: pulumi.Input[str]
    timeout: float = TIMEOUT_SECONDS
    told: Words = field(default_factory=lambda: Words())
    """Words of its own for an error, as `Migration` has them."""


def room_for(
    name: str,
    *,
    images: Sequence[pulumi.Input[str]],
    architecture: str,
    tasks: Sequence[Tasks],
    cluster_arn: pulumi.Input[str],
) -> pulumi.ResourceHookBinding:
    """Hooks of whatever runs the app's code: once, before the first of them changes, `check_release`.

    In a preview they see as much as is there already. When it fails none of them is touched.
    """
    aws = _asking()
    cluster, references = pulumi.Output.from_input(cluster_arn), [pulumi.Output.from_input(each) for each in images]

    async def look() -> None:
        known = [found for each in references if (found := await each.future())]
        arn, say = await cluster.future() or "", speaker()
        await asyncio.to_thread(_told, check_release, aws, Release(known, architecture, tasks, arn), say)

    return _before_changes(f"{name}-room", _once(look), on_dry_run=True)


def room_for_addresses(name: str) -> pulumi.ResourceHookBinding:
    """Hooks of the Elastic IPs that a stack makes: all of them together have to be within the account's limit."""
    aws = _asking()
    asked: list[str] = []
    before: list[int] = []
    one_at_a_time = asyncio.Lock()

    def compare(aws: Aws, needed: int, _: Say) -> None:
        if not before:  # those that are made meanwhile are not counted twice
            before.append(addresses_in_use(aws))
        check_addresses(aws, needed, before[0])

    async def look(address: pulumi.ResourceHookArgs) -> None:
        async with one_at_a_time:
            asked.append(address.name)
            await asyncio.to_thread(_told, compare, aws, len(asked), speaker())

    return _before_changes(f"{name}-addresses", look, on_dry_run=True)


def range_stays(name: str, cidr: str) -> pulumi.ResourceHookBinding:
    """Hooks of a stack's VPC: another range than the present one's is refused, in a preview too."""
    aws = _asking()

    def compare(aws: Aws, wanted: str, _: Say) -> None:
        check_range(aws, name, wanted)

    async def look(_: pulumi.ResourceHookArgs) -> None:
        await asyncio.to_thread(_told, compare, aws, cidr, speaker())

    return _before_changes(f"{name}-range", look, on_dry_run=True)


def migrated(name: str, step: Step, room: pulumi.ResourceHookBinding, opts: pulumi.ResourceOptions) -> pulumi.Resource:
    """The release step, run to its end, where there is `room` for it: what depends on it runs after that.

    When it fails the update stops with its last log lines, and nothing that depends on it is touched.
    """
    aws = session()
    place = pulumi.Output.all(step.task_definition_arn, step.cluster_arn, step.security_group_id, step.subnet_ids)

    async def work(_: pulumi.ResourceHookArgs) -> None:
        definition, cluster, group, subnets = await place.future() or ["", "", "", []]
        network = {"subnets": subnets, "securityGroups": [group]}
        migration = Migration(cluster, definition, network, timeout=step.timeout, **step.told)
        await asyncio.to_thread(run, aws, migration, speaker())

    hooks = _before_changes(f"{name}-migrate", work, on_dry_run=False, after=room)
    opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(hooks=hooks))
    return pulumi.Stash(f"{name}-migrated", opts, input=step.task_definition_arn)


def done_once(
    name: str, work: Callable[[], Awaitable[None]], value: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """Work that is done when `value` is another one than it was done with last: what depends on it comes after that."""

    async def hook(_: pulumi.ResourceHookArgs) -> None:
        await work()

    hooks = _before_changes(name, hook, on_dry_run=False)
    return pulumi.Stash(name, pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(hooks=hooks)), input=value)


Hook = Callable[[pulumi.ResourceHookArgs], Awaitable[None]]


def _before_changes(
    name: str, work: Hook, *, on_dry_run: bool, after: pulumi.ResourceHookBinding | None = None
) -> pulumi.ResourceHookBinding:
    hook = pulumi.ResourceHook(name, work, opts=pulumi.ResourceHookOptions(on_dry_run=on_dry_run))
    hooks: list[pulumi.ResourceHook | ResourceHookFunction] = [hook]
    if after and after.before_create:
        hooks = [*after.before_create, hook]
    return pulumi.ResourceHookBinding(before_create=hooks, before_update=hooks)


def _once(work: Callable[[], Awaitable[None]]) -> Hook:
    running: list[asyncio.Future[None]] = []

    async def hook(_: pulumi.ResourceHookArgs) -> None:
        if not running:
            running.append(asyncio.ensure_future(work()))
        await asyncio.shield(running[0])  # everybody gets its failure

    return hook


def _asking() -> Aws:
    """AWS for a look: a plan without an account is not to wait for it."""
    aws = session()
    return replace(aws, attempts=1) if pulumi.runtime.is_dry_run() else aws


def _told(look: Callable[[Aws, Any, Say], None], aws: Aws, what: Any, say: Say) -> None:
    """What cannot be asked is said; a preview without an account, or without the right to ask, is one all the same."""
    try:
        look(aws, what, say)
    except SlipwayError:
        raise
    except (BotoCoreError, ClientError) as error:
        say(f"Capacity: not everything could be looked at: {error}")
