"""Pulumi resource hooks that check requirements before new code runs: capacity, the image, the migrated database.

Capacity is checked before each service changes, in a preview too. The database is migrated when the release task's
definition differs from the one of the last migration, which the state stores (`pulumi.Stash`); everything that runs the
app's code depends on it. So the next `up` repeats a failed migration, and an `up` without a change of the image or the
release task runs none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pulumi
from botocore.exceptions import BotoCoreError, ClientError
from pulumi.resource_hooks import ResourceHookFunction
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import get_monitor

from slipway.config.errors import SlipwayError
from slipway.release.aws_errors import aws_errors_as_slipway_errors, describe_aws_error
from slipway.release.aws_session import AwsSession, open_stack_aws_session
from slipway.release.pause import check_not_paused
from slipway.release.preflight import (
    PlannedRelease,
    TaskDemand,
    check_elastic_ip_quota,
    check_release,
    check_vpc_cidr,
    count_elastic_ips,
)
from slipway.release.preview_guard import PreviewSettings, check_previews_fit
from slipway.release.progress import ProgressReporter, create_progress_reporter
from slipway.release.secret_retirement import check_retired_users
from slipway.release.standalone_task import TASK_TIMEOUT_SECONDS, ErrorText, StandaloneTask, run_exclusive_task
from slipway.release.target_group_change import HealthCheck, TargetGroupChange, check_health_check_change


@dataclass(frozen=True)
class ReleaseTaskRun:
    """The parameters of a run of the release task."""

    task_definition_arn: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    security_group_id: pulumi.Input[str]
    assign_public_ip: pulumi.Input[bool] = False
    timeout: float = TASK_TIMEOUT_SECONDS
    error_text: ErrorText = field(default_factory=lambda: ErrorText())
    """Texts of its errors, see `StandaloneTask`."""


def capacity_hook(
    name: str,
    *,
    images: Sequence[pulumi.Input[str]],
    architecture: str,
    tasks: Sequence[TaskDemand],
    cluster_arn: pulumi.Input[str],
    retired_users: Sequence[str] = (),
) -> pulumi.ResourceHookBinding:
    """Returns hooks for all resources that run the app's code: they call `check_release` once, before the first change.

    `retired_users`: database users that the release task drops; no running task may log in with one of them.
    A preview checks existing resources. If the check fails, none of these resources changes.
    """
    aws = _open_preflight_session()
    cluster = pulumi.Output.from_input(cluster_arn)
    references = [pulumi.Output.from_input(image) for image in images]

    async def check() -> None:
        image_references = [image for reference in references if (image := await reference.future())]
        arn = await cluster.future() or ""
        release = PlannedRelease(image_references, architecture, tasks, arn)
        await asyncio.to_thread(_run_check, check_release, aws, release, create_progress_reporter())
        await asyncio.to_thread(_run_check, check_users, aws, arn, create_progress_reporter())

    def check_users(aws: AwsSession, cluster: str, _: ProgressReporter) -> None:
        check_retired_users(aws, cluster, retired_users)

    return before_change_hooks(f"{name}-capacity", _run_once_hook(check), on_dry_run=True)


def elastic_ip_quota_hook(name: str) -> pulumi.ResourceHookBinding:
    """Returns hooks for the Elastic IPs of a stack: the account's quota must suffice for all of them."""
    aws = _open_preflight_session()
    requested: list[str] = []
    in_use: list[int] = []
    one_at_a_time = asyncio.Lock()

    def compare(aws: AwsSession, needed: int, _: ProgressReporter) -> None:
        if not in_use:  # counted once, so that those of this update are not counted twice
            in_use.append(count_elastic_ips(aws))
        check_elastic_ip_quota(aws, needed, in_use[0])

    async def check(address: pulumi.ResourceHookArgs) -> None:
        async with one_at_a_time:
            requested.append(address.name)
            await asyncio.to_thread(_run_check, compare, aws, len(requested), create_progress_reporter())

    return before_change_hooks(f"{name}-addresses", check, on_dry_run=True)


def vpc_cidr_unchanged_hook(name: str, cidr: str) -> pulumi.ResourceHookBinding:
    """Returns hooks for a stack's VPC that refuse a change of its CIDR block, in a preview too."""
    aws = _open_preflight_session()

    def compare(aws: AwsSession, new_cidr: str, _: ProgressReporter) -> None:
        check_vpc_cidr(aws, name, new_cidr)

    async def check(_: pulumi.ResourceHookArgs) -> None:
        await asyncio.to_thread(_run_check, compare, aws, cidr, create_progress_reporter())

    return before_change_hooks(f"{name}-range", check, on_dry_run=True)


def subnets_kept_hook(name: str) -> pulumi.ResourceHookBinding:
    """Hooks for a load balancer: one that would lose a subnet is refused, in a preview too.

    It sends no requests to targets in zones that it is not in, and it changes before the tasks move.
    """

    async def check(args: pulumi.ResourceHookArgs) -> None:
        after = (args.new_inputs or {}).get("subnets") or []
        lost = [subnet for subnet in (args.old_inputs or {}).get("subnets") or [] if subnet not in after]
        # Unknown ones of a preview are new, and are added to the present ones.
        if lost and isinstance(after, list):
            raise SlipwayError(
                f"zones (or publicSubnets of existingVpc) takes the load balancer out of {', '.join(map(str, lost))}, "
                "whose tasks would get no more requests before others replace them. Nothing was changed.",
                "Keep them: a running stack can get more zones, and none less.",
            )

    return pulumi.ResourceHookBinding(
        before_update=before_change_hooks(f"{name}-zones", check, on_dry_run=True).before_update
    )


def health_check_change_hook(
    name: str, *, label: str, url: pulumi.Input[str], host: pulumi.Input[str] = "", paths: Sequence[str]
) -> pulumi.ResourceHookBinding:
    """Returns hooks for a target group that refuse a new health check which the running tasks would not pass.

    `url`: the load balancer's; `host` and `paths`: the conditions of the target group's listener rule. A preview
    checks it too.
    """
    aws = _open_preflight_session()
    place = pulumi.Output.all(url, host)

    async def check(args: pulumi.ResourceHookArgs) -> None:
        listener_place = await place.future()
        before, after = HealthCheck.from_inputs(args.old_inputs or {}), HealthCheck.from_inputs(args.new_inputs or {})
        if not listener_place or before == after:
            return
        change = TargetGroupChange(label, args.id, listener_place[0], listener_place[1], paths, before, after)
        await asyncio.to_thread(check_health_check_change, aws, change, create_progress_reporter())

    hooks = before_change_hooks(f"{name}-health-check", check, on_dry_run=True)
    return pulumi.ResourceHookBinding(before_update=hooks.before_update)


def refuse_to_strand_previews(settings: PreviewSettings) -> None:
    """Checks at the start of an environment's program that its previews fit these settings; in `pulumi preview` too.

    Call it before any resource is registered, even if previews are disabled: then nothing has changed. A plan without
    Pulumi makes no AWS calls. Raises `pulumi.RunError`; reports checks that AWS did not answer.
    """
    if isinstance(get_monitor(), MockMonitor):
        return
    aws = _open_preflight_session()

    def check(aws: AwsSession, settings: PreviewSettings, _: ProgressReporter) -> None:
        check_previews_fit(aws, pulumi.get_project(), pulumi.get_stack(), settings)

    try:
        _run_check(check, aws, settings, pulumi.log.info)
    except SlipwayError as error:
        raise pulumi.RunError(str(error)) from None


def refuse_while_paused(environment: str) -> None:
    """Check, while a program begins, that its environment is not paused: its database and tasks would not answer.

    A preview of changes only says so. Raises `pulumi.RunError`.
    """
    if isinstance(get_monitor(), MockMonitor):
        return

    def check(aws: AwsSession, environment: str, _: ProgressReporter) -> None:
        check_not_paused(aws, pulumi.get_project(), environment)

    try:
        _run_check(check, _open_preflight_session(), environment, pulumi.log.info)
    except SlipwayError as error:
        if not pulumi.runtime.is_dry_run():
            raise pulumi.RunError(str(error)) from None
        pulumi.log.warn(str(error))


def run_release_task_on_change(
    name: str, step: ReleaseTaskRun, preconditions: pulumi.ResourceHookBinding, opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """Returns a resource that runs the release task to its end after the capacity hooks have passed.

    Dependent resources change after it. If it fails, the update stops with its last log lines, and they do not change.
    """
    aws = open_stack_aws_session()
    place = pulumi.Output.all(
        step.task_definition_arn, step.cluster_arn, step.security_group_id, step.subnet_ids, step.assign_public_ip
    )

    async def work(_: pulumi.ResourceHookArgs) -> None:
        definition, cluster, group, subnets, is_public = await place.future() or ["", "", "", [], False]
        network = {"subnets": subnets, "securityGroups": [group], "assignPublicIp": is_public}
        task = StandaloneTask(cluster, definition, network, timeout=step.timeout, **step.error_text)
        await asyncio.to_thread(run_exclusive_task, aws, task, create_progress_reporter())

    hooks = before_change_hooks(f"{name}-migrate", work, on_dry_run=False, after=preconditions)
    opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(hooks=hooks))
    return pulumi.Stash(f"{name}-migrated", opts, input=step.task_definition_arn)


def run_on_change(
    name: str, work: Callable[[], Awaitable[None]], value: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """Returns a resource that does `work` when `value` has changed; dependent resources come after it."""

    async def hook(_: pulumi.ResourceHookArgs) -> None:
        await work()

    hooks = before_change_hooks(name, hook, on_dry_run=False)
    return pulumi.Stash(name, pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(hooks=hooks)), input=value)


HookFunction = Callable[[pulumi.ResourceHookArgs], Awaitable[None]]


def before_change_hooks(
    name: str, work: HookFunction, *, on_dry_run: bool, after: pulumi.ResourceHookBinding | None = None
) -> pulumi.ResourceHookBinding:
    async def run(args: pulumi.ResourceHookArgs) -> None:
        with aws_errors_as_slipway_errors():  # Pulumi prints only an error's text
            await work(args)

    hook = pulumi.ResourceHook(name, run, opts=pulumi.ResourceHookOptions(on_dry_run=on_dry_run))
    hooks: list[pulumi.ResourceHook | ResourceHookFunction] = [hook]
    if after and after.before_create:
        hooks = [*after.before_create, hook]
    return pulumi.ResourceHookBinding(before_create=hooks, before_update=hooks)


def _run_once_hook(work: Callable[[], Awaitable[None]]) -> HookFunction:
    running: list[asyncio.Future[None]] = []

    async def hook(_: pulumi.ResourceHookArgs) -> None:
        if not running:
            running.append(asyncio.ensure_future(work()))
        await asyncio.shield(running[0])  # every resource gets the error

    return hook


def _open_preflight_session() -> AwsSession:
    """Returns the AWS session of a check; without retries in a preview, which may have no account."""
    aws = open_stack_aws_session()
    return replace(aws, attempts=1) if pulumi.runtime.is_dry_run() else aws


def _run_check(
    check: Callable[[AwsSession, Any, ProgressReporter], None], aws: AwsSession, subject: Any, say: ProgressReporter
) -> None:
    """Runs a check, and reports what could not be checked: a preview needs no account and no permissions."""
    try:
        check(aws, subject, say)
    except SlipwayError:
        raise
    except (BotoCoreError, ClientError) as error:
        say(f"Not everything could be checked before the update. {describe_aws_error(error).message}")
