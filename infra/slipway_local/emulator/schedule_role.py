"""The role of an EventBridge schedule: Scheduler assumes it, and starts tasks and writes dead letters in its name.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/setting-up.html#setting-up-execution-role
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from slipway_local.emulator.rights import emulator_authorizer

SCHEDULER = "scheduler.amazonaws.com"
CANNOT_ASSUME = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
"""What CreateSchedule and UpdateSchedule answer where the role is missing or does not trust Scheduler."""
_CALLS = {"sqs": ("SendMessage", "QueueUrl"), "sns": ("Publish", "TopicArn"), "lambda": ("Invoke", "FunctionName")}
"""Service of a target's ARN -> the call that reaches it, and the parameter that names it."""


class ScheduleRole:
    """The role of a schedule's target."""

    def __init__(self, role_arn: str, group_arn: str) -> None:
        """`group_arn`: of the schedule's group, which a trust policy sees as `aws:SourceArn`."""
        self._role_arn = role_arn
        self._group_arn = group_arn
        self._region = group_arn.split(":")[3]
        # AWS names the session by a hash of the schedule.
        self._session_name = hashlib.md5(group_arn.encode(), usedforsecurity=False).hexdigest()

    def is_assumable(self) -> bool:
        """Returns whether the role exists and trusts Scheduler."""
        return emulator_authorizer().service_may_assume(self._role_arn, SCHEDULER, self._group_arn)

    def denial(self, service: str, operation: str, params: Mapping[str, Any]) -> str | None:
        """Returns why the role may not make a call, in AWS's words; None where it may."""
        if not self.is_assumable():
            return CANNOT_ASSUME
        authorizer = emulator_authorizer()
        return authorizer.denial(self._role_arn, self._session_name, self._region, service, operation, params)

    def target_denial(self, target_arn: str) -> str | None:
        """Returns why the role may not invoke a target; None where it may, or where its service is not emulated."""
        service = target_arn.split(":")[2] if target_arn.count(":") > 2 else ""
        if service not in _CALLS:
            return None
        operation, parameter = _CALLS[service]
        return self.denial(service, operation, {parameter: _queue_url(target_arn) if service == "sqs" else target_arn})


def _queue_url(arn: str) -> str:
    """Returns the URL that names a queue in a request, for its resource is read from that."""
    _, _, _, region, account, name = arn.split(":", 5)
    return f"https://sqs.{region}.amazonaws.com/{account}/{name}"
