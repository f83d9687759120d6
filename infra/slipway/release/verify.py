"""Verifies a release: the newest service deployment, the running digests, and a response through the load balancer.

It runs on every `up`, even without changes: after a rollback the next `up` must not report success.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slipway.config.errors import SlipwayError
from slipway.release import rollout, task_watch
from slipway.release.aws_errors import retry_reads
from slipway.release.aws_session import AwsSession
from slipway.release.clock import SYSTEM_CLOCK, Clock
from slipway.release.failure_report import (
    definition_name,
    describe_killed_tasks,
    describe_running_tasks,
    describe_siblings,
    describe_trouble,
    explain_causes,
    explain_failure,
)
from slipway.release.progress import ProgressReporter
from slipway.release.rollout import SUCCESSFUL, ExpectedService, ServiceDeployment
from slipway.release.rollout_timings import format_phases, measure_rollout_phases
from slipway.release.running_state import report_active_alarms, running_digests
from slipway.release.smoke_test import SmokeTest, run_smoke_test

STATUS_DESCRIPTIONS = {
    "ROLLBACK_SUCCESSFUL": "ECS rolled back to the previous revision",
    "ROLLBACK_FAILED": "there is no revision that ECS could roll back to",
    "STOPPED": "the deployment was stopped",
}
MISSING_TASK_PATIENCE_SECONDS = 60.0
"""Limit for missing tasks: ECS replaces a task within seconds."""
LISTING_DELAY_SECONDS = 60.0
"""Maximum delay between UpdateService and ListServiceDeployments."""


@dataclass(frozen=True)
class VerifiedRollout:
    """The running release of a service."""

    deployment: ServiceDeployment
    digests: dict[str, str]
    """Container -> the running digest in every task."""


def verify_rollout(
    aws: AwsSession,
    service: ExpectedService,
    say: ProgressReporter,
    *,
    front_door: SmokeTest | None = None,
    again: bool = True,
    timeout: float = 0,
    clock: Clock = SYSTEM_CLOCK,
    siblings: Sequence[ExpectedService] = (),
    stack: str = "STACK",
) -> VerifiedRollout:
    """Waits for the rollout in progress, and verifies the running release.

    `again`: repeat a rollout that failed before, redeploy a service that was changed outside of Pulumi, and roll back
    new tasks that fail after their rollout. `siblings` and `stack`: the stack's other services and its name, for the
    text of a failure.
    Raises `SlipwayError` with the cause, the last log lines, the running release and the fix; botocore's errors for
    failed calls.
    """
    aws.of(service.cluster)
    verification = _Verification(aws, service, say, clock, again, siblings, stack)
    return verification.run(front_door, timeout or rollout.ROLLOUT_TIMEOUT_SECONDS)


@dataclass(frozen=True)
class _Verification:
    aws: AwsSession
    service: ExpectedService
    say: ProgressReporter
    clock: Clock
    again: bool
    siblings: Sequence[ExpectedService]
    stack: str

    def run(self, front_door: SmokeTest | None, timeout: float) -> VerifiedRollout:
        retry_reads(lambda: report_active_alarms(self.aws, self.service, self.say), self.say, self.clock)
        before, deployment = self._await_rollout(timeout)
        self._ensure_tasks_healthy(deployment)
        digests = retry_reads(lambda: running_digests(self.aws, self.service), self.say, self.clock)
        if front_door:
            self._ensure_front_door_answers(front_door)
        is_new = before is None or before.arn != deployment.arn or not before.ended
        self._ensure_tasks_stay(deployment, is_new=is_new)
        if is_new:
            killed = describe_killed_tasks(self.aws, self.service, deployment.created)
            for line in killed:
                self.say(f"{self.service.name}: {line}")
            phases = measure_rollout_phases(self.aws, self.service, deployment)
            self.say(f"{self.service.name}: {format_phases(phases)}")
        return VerifiedRollout(deployment, digests)

    def _ensure_front_door_answers(self, front_door: SmokeTest) -> None:
        try:
            self.say(run_smoke_test(front_door, self.clock))
        except SlipwayError as error:
            raise SlipwayError("\n".join([error.message, *self._describe_running_releases()]), error.fix) from None

    def _await_rollout(self, timeout: float) -> tuple[ServiceDeployment | None, ServiceDeployment]:
        """Returns the newest deployment at first, and the one that has ended successfully."""
        before = self._newest_deployment()
        if before and before.ended and self.again and not _is_successful(before, self.service):
            self.say(_redeploy_reason(before, self.service))
            return before, self._redeploy(self.service, before, timeout)
        deployment = self._wait(self.service, timeout)
        was_rolling_back = before is not None and before.status.startswith("ROLLBACK")
        if deployment and was_rolling_back and self.again and not _is_successful(deployment, self.service):
            self.say(
                f"{self.service.name}: the rollout before this update failed and was rolled back: deploying "
                f"{definition_name(self.service.task_definition)} again."
            )
            return before, self._redeploy(self.service, deployment, timeout)
        return before, self._require_success(deployment)

    def _newest_deployment(self, other_than: str = "") -> ServiceDeployment | None:
        """Returns the newest deployment; waits until ECS lists the one of the update, or one other than the ARN
        `other_than`."""
        deadline = self.clock.now() + LISTING_DELAY_SECONDS
        while True:
            newest = retry_reads(self._get_newest, self.say, self.clock)
            is_listed = newest is None or newest.arn != other_than
            if is_listed and newest and newest.ended and newest.task_definition != self.service.task_definition:
                is_listed = not retry_reads(self._is_update_accepted, self.say, self.clock)
            if is_listed or self.clock.now() > deadline:
                return newest
            self.clock.sleep(rollout.POLL_SECONDS)

    def _get_newest(self) -> ServiceDeployment | None:
        return rollout.get_newest_deployment(self.aws, self.service.cluster, self.service.name)

    def _is_update_accepted(self) -> bool:
        """Whether DescribeServices lists a deployment in progress of the expected task definition."""
        description = rollout.describe_service(self.aws, self.service)
        return any(
            each["status"] == "PRIMARY"
            and each.get("taskDefinition") == self.service.task_definition
            and each.get("rolloutState") == "IN_PROGRESS"
            for each in description["deployments"]
        )

    def _redeploy(self, service: ExpectedService, before: ServiceDeployment, timeout: float) -> ServiceDeployment:
        force_deployment(self.aws, service)
        self._newest_deployment(other_than=before.arn)
        return self._require_success(self._wait(service, timeout))

    def _wait(self, service: ExpectedService, timeout: float) -> ServiceDeployment | None:
        try:
            return rollout.wait_for_rollout(
                self.aws,
                service,
                self.say,
                timeout,
                clock=self.clock,
                on_rollback=self._report_rollback,
                on_trouble=self._report_trouble,
            )
        except TimeoutError as error:
            raise SlipwayError(
                "\n".join([f"Roll out: {error}.", *self._describe_running_releases()]),
                f"Read the service's events: aws ecs describe-services --cluster {self.service.cluster} --services "
                f"{self.service.name}. Then run `up` again: it continues to wait.",
            ) from None

    def _report_rollback(self, deployment: ServiceDeployment) -> None:
        causes = retry_reads(lambda: explain_causes(self.aws, self.service, deployment), self.say, self.clock)
        sentences = [cause.rstrip(".") for cause in causes or [deployment.reason] if cause]
        self.say(" ".join(f"{sentence}." for sentence in [f"{self.service.name}: ECS is rolling back", *sentences]))

    def _report_trouble(self, deployment: ServiceDeployment, trouble: str) -> None:
        for line in describe_trouble(self.aws, self.service, deployment, trouble):
            self.say(line)

    def _require_success(self, deployment: ServiceDeployment | None) -> ServiceDeployment:
        if deployment is None:
            raise SlipwayError(
                f"Roll out: ECS has no deployment of {self.service.name}.",
                "The service was deleted outside of Pulumi: pulumi refresh, then pulumi up.",
            )
        if _is_successful(deployment, self.service):
            return deployment
        if deployment.task_definition != self.service.task_definition:
            raise self._error(
                f"Roll out: during the rollout of {definition_name(self.service.task_definition)}, "
                f"{definition_name(deployment.task_definition)} was deployed to {self.service.name} from elsewhere.",
                deployment,
            )
        ending = STATUS_DESCRIPTIONS.get(deployment.status, "ECS starts no more tasks of it")
        raise self._error(
            f"Roll out: the new tasks of {self.service.name} did not become stable; {ending}.", deployment
        )

    def _ensure_tasks_healthy(self, deployment: ServiceDeployment) -> None:
        """Checks that all desired tasks run and none is unhealthy; waits for replacements of lost tasks."""
        deadline = self.clock.now() + MISSING_TASK_PATIENCE_SECONDS
        while True:
            running, desired, unhealthy = retry_reads(self._count_tasks, self.say, self.clock)
            if running >= desired and not unhealthy:
                return
            if self.clock.now() > deadline:
                raise self._error(
                    f"Verify: {self.service.name} was rolled out, but {running} of {desired} tasks run, {unhealthy} of "
                    "them unhealthy.",
                    deployment,
                )
            self.clock.sleep(rollout.POLL_SECONDS)

    def _count_tasks(self) -> tuple[int, int, int]:
        """Returns the numbers of running, desired and unhealthy tasks."""
        description = rollout.describe_service(self.aws, self.service)
        tasks = rollout.list_current_tasks(self.aws, self.service)
        unhealthy = sum(task.get("healthStatus") == "UNHEALTHY" for task in tasks)
        return description["runningCount"], description["desiredCount"], unhealthy

    def _ensure_tasks_stay(self, deployment: ServiceDeployment, *, is_new: bool) -> None:
        """Checks that no new task fails after the rollout; if one does, deploys the previous revision again.

        Of a rollout that has ended before this `up` it checks the same: the `up` that began it may have been killed.
        """
        checked = retry_reads(
            lambda: task_watch.has_health_check(self.aws, self.service, deployment), self.say, self.clock
        )
        if not checked:
            failed = task_watch.find_unsettled_task(self.aws, self.service, deployment, self.say, self.clock)
        else:
            failed = task_watch.find_unstable_task(self.aws, self.service, deployment, self.say, self.clock)
        if not failed:
            return
        heading = f"Verify: the new tasks of {self.service.name} start, and fail later"
        causes = explain_failure(self.aws, self.service, deployment)
        if not checked:
            heading += f", before they are {self.service.settle_seconds:.0f} s old (settleSeconds)"
        if self.again and (is_new or self._has_just_ended(deployment)):
            heading += self._roll_back()
        raise self._error(f"{heading}.", deployment, causes)

    def _has_just_ended(self, deployment: ServiceDeployment) -> bool:
        return retry_reads(lambda: task_watch.has_just_ended(self.aws, self.service, deployment), self.say, self.clock)

    def _roll_back(self) -> str:
        """Deploys the last successful revision of another task definition; returns the result as text for the error."""
        former = self._former_deployment()
        if former is None:
            return ""
        target = ExpectedService(self.service.cluster, self.service.name, former.task_definition)
        newest = retry_reads(self._get_newest, self.say, self.clock)
        force_deployment(self.aws, target)
        self._newest_deployment(other_than=newest.arn if newest else "")
        try:
            ended = rollout.wait_for_rollout(self.aws, target, self.say, clock=self.clock)
        except TimeoutError:
            ended = None
        is_back = ended is not None and _is_successful(ended, target)
        outcome = "rolled back" if is_back else "tried to roll back, without success,"
        return f"; {outcome} to {definition_name(target.task_definition)}"

    def _former_deployment(self) -> ServiceDeployment | None:
        """Returns the last successful deployment of another task definition."""
        history = retry_reads(
            lambda: rollout.get_service_deployments(self.aws, self.service.cluster, self.service.name),
            self.say,
            self.clock,
        )
        successful = (each for each in history if each.status == SUCCESSFUL)
        return next((each for each in successful if each.task_definition != self.service.task_definition), None)

    def _error(self, heading: str, deployment: ServiceDeployment, causes: list[str] | None = None) -> SlipwayError:
        """Returns the error of a failed release: the cause, the running release, and the fix."""
        explained = explain_failure(self.aws, self.service, deployment) if causes is None else causes
        is_reason_new = deployment.reason and deployment.reason not in explained
        lines = [
            heading,
            *explained,
            *([f"ECS reports: {deployment.reason}"] if is_reason_new else []),
            *self._describe_running_releases(),
        ]
        fix = "Fix it and run `up` again: until this revision runs stably, every `up` fails here. "
        if self._former_deployment():
            fix += f"Or roll back to the previous release: slipway rollback {self.stack}"
        else:
            fix += "No other revision ever ran, so there is nothing to roll back to."
        return SlipwayError("\n".join(lines), fix)

    def _describe_running_releases(self) -> list[str]:
        """Returns the release of each process."""
        others = [each for each in self.siblings if each.name != self.service.name]
        return [describe_running_tasks(self.aws, self.service), *describe_siblings(self.aws, others)]


def _is_successful(deployment: ServiceDeployment, service: ExpectedService) -> bool:
    return deployment.status == SUCCESSFUL and deployment.task_definition == service.task_definition


def _redeploy_reason(before: ServiceDeployment, service: ExpectedService) -> str:
    expected = definition_name(service.task_definition)
    if before.task_definition != service.task_definition:
        name = definition_name(before.task_definition)
        return f"{name} was deployed to {service.name} from elsewhere, or its tasks failed: deploying {expected} again."
    return f"The last rollout of {expected} ended as {before.status}: trying again."


def force_deployment(aws: AwsSession, service: ExpectedService) -> None:
    """Start a rollout of the service's task definition, also where it is the one that runs."""
    aws.client("ecs").update_service(
        cluster=service.cluster,
        service=service.name,
        taskDefinition=service.task_definition,
        forceNewDeployment=True,
    )
