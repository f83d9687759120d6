"""`slipway pause` and `resume`: stops a deployed environment, and starts it again until it serves."""

from __future__ import annotations

from datetime import UTC, datetime

from slipway.config import names
from slipway.config.errors import SlipwayError
from slipway.config.project import project_name
from slipway.release import rollout
from slipway.release.aws_errors import aws_errors_as_slipway_errors
from slipway.release.aws_session import AwsSession, ClientFactory
from slipway.release.clock import SYSTEM_CLOCK, Clock
from slipway.release.deployed_stack import DeployedStack
from slipway.release.pause_steps import PAUSED_TAG, PausableStack
from slipway.release.process_services import smoke_test_of
from slipway.release.progress import ProgressReporter
from slipway.release.rollout import ExpectedService
from slipway.release.scale import await_tasks
from slipway.release.verify import verify_rollout

STOP_TIMEOUT_SECONDS = 300.0
"""How long tasks may take to stop: ECS kills them after two minutes at most."""
SECONDS_WITHOUT_TASKS_POLL = 2.0


def pause_stack(stack: DeployedStack, say: ProgressReporter, clock: Clock = SYSTEM_CLOCK) -> str:
    """Stop an environment with its previews, and return its mark: since when, by whom. Twice is fine.

    Raises `SlipwayError` where tasks do not stop.
    """
    with aws_errors_as_slipway_errors():
        pausable = _pausable(stack, say, clock)
        caller = stack.aws.client("sts").get_caller_identity()["Arn"]
        mark = pausable.find_mark() or f"{datetime.now(UTC).isoformat(timespec='seconds')} by {caller}"
        pausable.pause(mark)
        deadline = clock.now() + STOP_TIMEOUT_SECONDS
        while pausable.running_tasks()[0]:
            if clock.now() > deadline:
                raise SlipwayError(
                    f"Tasks of {stack.name} still run after {STOP_TIMEOUT_SECONDS:.0f} s.",
                    f"Run it again: slipway pause {stack.name}",
                )
            clock.sleep(SECONDS_WITHOUT_TASKS_POLL)
        return mark


def resume_stack(stack: DeployedStack, say: ProgressReporter, clock: Clock = SYSTEM_CLOCK) -> bool:
    """Start an environment again and wait until it serves; whether it was paused. Twice is fine.

    Raises `SlipwayError` where it does not serve: it stays marked as paused then, and its alarms silent.
    """
    with aws_errors_as_slipway_errors():
        pausable = _pausable(stack, say, clock)
        if not pausable.find_mark():
            return False
        try:
            pausable.resume()
        except TimeoutError as error:
            raise SlipwayError(f"Resume: {error}.", f"Run it again: slipway resume {stack.name}") from None
        for process, name in stack.services.items():
            described = rollout.describe_service(stack.aws, ExpectedService(stack.cluster, name, ""))
            service = ExpectedService(stack.cluster, name, described["taskDefinition"])
            await_tasks(stack.aws, service, int(described["desiredCount"]), say, clock)
            front_door = smoke_test_of(stack, process, service)
            verify_rollout(stack.aws, service, say, front_door=front_door, again=False, clock=clock, stack=stack.name)
        pausable.finish_resume()
        return True


def find_pause(aws: ClientFactory, cluster: str) -> str:
    """Since when a cluster is paused, and by whom; empty where it is not, or where there is no cluster."""
    return PausableStack(aws.client, cluster, "").find_mark() if cluster else ""


def find_pause_by_tags(aws: ClientFactory, full_name: str) -> str:
    """The same of the environment whose resources have the tag `stack` `<project>-<stack>`, whatever its cluster.

    The pipeline's roles may read tags of all resources, and no cluster. The answer may be some seconds old.
    """
    pages = (
        aws.client("resourcegroupstaggingapi")
        .get_paginator("get_resources")
        .paginate(TagFilters=[{"Key": "stack", "Values": [full_name]}], ResourceTypeFilters=["ecs:cluster"])
    )
    tags = [tag for page in pages for entry in page["ResourceTagMappingList"] for tag in entry["Tags"]]
    return next((tag["Value"] for tag in tags if tag["Key"] == PAUSED_TAG), "")


def check_not_paused(aws: ClientFactory, project: str, stack: str) -> None:
    """Raises `SlipwayError` where an environment is paused, which an update of it or of a preview needs running."""
    mark = find_pause_by_tags(aws, names.stack_name(project, stack))
    if mark:
        raise pause_error(stack, mark)


def read_tier(stack: DeployedStack) -> str:
    """The tier that an environment was deployed with, from its cluster's tag."""
    return PausableStack(stack.aws.client, stack.cluster, "").cluster_tags().get("tier", "")


def ensure_not_paused(aws: AwsSession, cluster: str, stack: str) -> None:
    """Raises `SlipwayError` where the stack, or the environment of a preview, is paused."""
    mark = find_pause(aws, cluster)
    if mark:
        raise pause_error(stack, mark)


def pause_error(stack: str, mark: str) -> SlipwayError:
    """What a command says that needs running tasks and a database."""
    return SlipwayError(
        f"{stack} is paused since {mark}: no task and no database runs. Nothing was changed.",
        f"slipway resume {stack}",
    )


def _pausable(stack: DeployedStack, say: ProgressReporter, clock: Clock) -> PausableStack:
    full_name = names.stack_name(project_name(), stack.name)
    return PausableStack(stack.aws.of(stack.cluster).client, stack.cluster, full_name, say, clock.sleep)
