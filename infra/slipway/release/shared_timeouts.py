"""Time-outs that the tasks of the old and of the new revision share: raised before a rollout, lowered after it.

A queue's visibility time-out and a target group's deregistration delay change in place. Lowered before the rollout they
would cut short the jobs and requests of tasks that were promised longer, so the engine creates them and ignores their
changes: a hook of the services raises them, and the program lowers them once every rollout is verified. The load
balancer's idle time-out changes after it in both directions: the former tasks keep idle connections for less.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from slipway.release.aws_errors import aws_errors_as_slipway_errors
from slipway.release.aws_session import AwsSession, open_stack_aws_session
from slipway.release.post_deploy_verification import change_on_every_up
from slipway.release.progress import ProgressReporter, create_progress_reporter

VISIBILITY_TIMEOUT = "VisibilityTimeout"
DEREGISTRATION_DELAY = "deregistration_delay.timeout_seconds"
IDLE_TIMEOUT = "idle_timeout.timeout_seconds"


@dataclass(frozen=True)
class SharedTimeout:
    """A time-out of a queue or a target group, in seconds."""

    resource: pulumi.Input[str]
    """URL of the queue, or ARN of the target group or the load balancer."""
    seconds: int
    """What it is to be."""


def set_shared_timeout(
    aws: AwsSession, resource: str, seconds: int, report: ProgressReporter, *, only_raise: bool = False
) -> None:
    """Sets the time-out of a queue, a target group or a load balancer to `seconds`, where it is another.

    `only_raise`: never to less.
    """
    if not resource.startswith("arn:"):
        subject, read, write = "The queue's visibility time-out", _read_visibility, _write_visibility
    elif ":loadbalancer/" in resource:
        subject, read, write = "The load balancer's idle time-out", _read_idle_timeout, _write_idle_timeout
    else:
        subject, read, write = "The target group's deregistration delay", _read_delay, _write_delay
    current = read(aws, resource)
    if current == seconds or (only_raise and current > seconds):
        return
    write(aws, resource, seconds)
    report(f"{subject}: {current} s to {seconds} s, {'before' if only_raise else 'after'} the rollout")


def raise_timeouts_hook(
    name: str, *, deregistration_delay: int = 0, queue: SharedTimeout | None = None
) -> pulumi.ResourceHookBinding:
    """Hooks of a service that raise its target groups' deregistration delay and the queue's time-out before it changes.

    The service has to depend on the queue.
    """
    aws = open_stack_aws_session()

    async def run(service: pulumi.ResourceHookArgs) -> None:
        target_groups = [group["targetGroupArn"] for group in (service.new_inputs or {}).get("loadBalancers") or []]
        timeouts = [SharedTimeout(arn, deregistration_delay) for arn in target_groups]
        for timeout in [*timeouts, queue] if queue else timeouts:
            resource = await pulumi.Output.from_input(timeout.resource).future()
            with aws_errors_as_slipway_errors():
                report = create_progress_reporter()
                await asyncio.to_thread(_raise, aws, resource or "", timeout.seconds, report)

    hook = pulumi.ResourceHook(name, run, opts=pulumi.ResourceHookOptions(on_dry_run=False))
    return pulumi.ResourceHookBinding(before_update=[hook])


def lower_timeouts(timeouts: Sequence[SharedTimeout], rollouts: Sequence[pulumi.Output[str]]) -> None:
    """Sets each of `timeouts` when `rollouts` are verified; on every `up`, so that a changed one is restored."""
    for timeout in timeouts:

        def change(aws: AwsSession, resource: str, report: ProgressReporter, seconds: int = timeout.seconds) -> None:
            set_shared_timeout(aws, resource, seconds, report)

        change_on_every_up(timeout.resource, rollouts, change, timeout.seconds)


def _raise(aws: AwsSession, resource: str, seconds: int, report: ProgressReporter) -> None:
    set_shared_timeout(aws, resource, seconds, report, only_raise=True)


def _read_visibility(aws: AwsSession, resource: str) -> int:
    answer = aws.client("sqs").get_queue_attributes(QueueUrl=resource, AttributeNames=[VISIBILITY_TIMEOUT])
    return int(answer["Attributes"][VISIBILITY_TIMEOUT])


def _write_visibility(aws: AwsSession, resource: str, seconds: int) -> None:
    aws.client("sqs").set_queue_attributes(QueueUrl=resource, Attributes={VISIBILITY_TIMEOUT: str(seconds)})


def _read_delay(aws: AwsSession, resource: str) -> int:
    return _find(aws.client("elbv2").describe_target_group_attributes(TargetGroupArn=resource), DEREGISTRATION_DELAY)


def _write_delay(aws: AwsSession, resource: str, seconds: int) -> None:
    attributes = [{"Key": DEREGISTRATION_DELAY, "Value": str(seconds)}]
    aws.client("elbv2").modify_target_group_attributes(TargetGroupArn=resource, Attributes=attributes)


def _read_idle_timeout(aws: AwsSession, resource: str) -> int:
    return _find(aws.client("elbv2").describe_load_balancer_attributes(LoadBalancerArn=resource), IDLE_TIMEOUT)


def _write_idle_timeout(aws: AwsSession, resource: str, seconds: int) -> None:
    attributes = [{"Key": IDLE_TIMEOUT, "Value": str(seconds)}]
    aws.client("elbv2").modify_load_balancer_attributes(LoadBalancerArn=resource, Attributes=attributes)


def _find(answer: Any, key: str) -> int:
    return int({pair["Key"]: pair["Value"] for pair in answer["Attributes"]}[key])
