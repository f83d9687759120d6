"""Refuses a change of a target group's health check that the running tasks would not pass.

The tasks of the old and the new revision share a target group, and its health check changes in place, before the
rollout: the load balancer stops routing to tasks without the new path, and a rollback starts more of such tasks.
So this first requests the new path from the running tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from slipway.config.errors import SlipwayError
from slipway.release.aws_session import AwsSession
from slipway.release.http_request import Answer, send_request
from slipway.release.progress import ProgressReporter

REQUESTS_PER_TARGET = 3
"""The load balancer distributes requests round robin: three for each target reach all of them."""


@dataclass(frozen=True)
class HealthCheck:
    """The path that the load balancer requests, and the healthy status codes."""

    path: str
    matcher: str = "200"

    @classmethod
    def from_inputs(cls, inputs: Mapping[str, Any]) -> HealthCheck:
        """Reads the inputs of a target group."""
        check = inputs.get("healthCheck") or {}
        return cls(str(check.get("path") or "/"), str(check.get("matcher") or "200"))

    def accepts(self, status: int) -> bool:
        """Whether a status code is healthy: the matcher is a list of codes and ranges, `200,204` or `200-399`."""
        for part in self.matcher.split(","):
            first, _, last = part.strip().partition("-")
            if int(first) <= status <= int(last or first):
                return True
        return False


@dataclass(frozen=True)
class TargetGroupChange:
    """A planned change of a health check."""

    label: str
    """Process, such as web."""
    target_group_arn: str
    url: str
    """URL of the load balancer."""
    host: str
    """Host name of its listener rule; empty for any."""
    paths: Sequence[str]
    """Path patterns of its listener rule."""
    before: HealthCheck
    after: HealthCheck


def check_health_check_change(
    aws: AwsSession,
    change: TargetGroupChange,
    report: ProgressReporter,
    *,
    request: Callable[..., Answer] = send_request,
) -> None:
    """Raises `SlipwayError` if healthy targets do not pass the new health check, or if that cannot be tested."""
    if change.before == change.after:
        return
    targets = _count_healthy_targets(aws, change.target_group_arn)
    if not targets:
        report(
            f"Health check of {change.label}: no target is healthy, so the new path {change.after.path} affects none."
        )
        return
    mend = (
        f"Serve {change.before.path} and {change.after.path} in one release, "
        "and change the health path in stacks/app.yaml in the next."
    )
    if not any(fnmatchcase(change.after.path, pattern) for pattern in change.paths):
        raise SlipwayError(
            f"health.ready of {change.label} changes from {change.before.path} to {change.after.path}, which its "
            f"paths ({', '.join(change.paths)}) do not include: whether the running tasks serve it cannot be tested.",
            mend,
        )
    for _ in range(targets * REQUESTS_PER_TARGET):
        answer = request(change.url.rstrip("/") + change.after.path, host=change.host, follow_redirects=False)
        if not change.after.accepts(answer.status):
            raise SlipwayError(
                f"health.ready of {change.label} changes from {change.before.path} to {change.after.path}, and the "
                f"running tasks {_describe(answer)}: the load balancer would take all of them out of service "
                "before the new ones start. Nothing was changed.",
                mend,
            )
    report(f"Health check of {change.label}: the running tasks serve {change.after.path}.")


def _describe(answer: Answer) -> str:
    return f"answer {answer.status} to it" if answer.status else f"do not answer: {answer.error}"


def _count_healthy_targets(aws: AwsSession, target_group_arn: str) -> int:
    health = aws.client("elbv2").describe_target_health(TargetGroupArn=target_group_arn)["TargetHealthDescriptions"]
    return sum(1 for target in health if target["TargetHealth"]["State"] == "healthy")
