"""What serves is what was asked for: by service deployment, by running digests, by an answer through the front door.

It runs on every `up`, also when nothing changed: after a rollback the next one must not say success.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from infra.errors import SlipwayError
from infra.release import rollout
from infra.release.client import Aws
from infra.release.failure import explain, serving
from infra.release.phases import phases, told
from infra.release.rollout import SUCCESSFUL, Deployment, Service
from infra.release.smoke import Smoke, smoke
from infra.release.speaker import Say

ENDS = {
    "ROLLBACK_SUCCESSFUL": "ECS rolled back to the revision before",
    "ROLLBACK_FAILED": "there is no revision that ECS could go back to",
    "STOPPED": "it was stopped",
}

WATCH_SECONDS, LONGEST_WATCH_SECONDS = 15.0, 180.0
SETTLE_SECONDS = 60.0
"""A service that was rolled out may have lost a task just now; ECS starts another within seconds."""


@dataclass(frozen=True)
class Verified:
    """What was found."""

    deployment: Deployment
    digests: dict[str, str]
    """Container -> the digest that runs in every task."""


def verify(
    aws: Aws, service: Service, say: Say, *, front_door: Smoke | None = None, again: bool = True, timeout: float = 0
) -> Verified:
    """Wait for the rollout that is under way, and look at what serves.

    `again`: a rollout that had failed before is tried once more, and a service that somebody else changed is put back.
    Raises `SlipwayError` with the step, ECS's reason, the last log lines, what still serves and what to do.
    """
    aws.of(service.cluster)
    _say_alarms(aws, service, say)
    before, deployment = _rolled_out(aws, service, say, again, timeout or rollout.TIMEOUT_SECONDS)
    _stands(aws, service, deployment)
    digests = _running_digests(aws, service)
    if front_door:
        say(smoke(front_door))
    if before is None or before.arn != deployment.arn or not before.ended:
        _lasts(aws, service, deployment, say, put_back=again)
        say(f"{service.name}: {told(phases(aws, service, deployment))}")
    return Verified(deployment, digests)


def _rolled_out(
    aws: Aws, service: Service, say: Say, again: bool, timeout: float
) -> tuple[Deployment | None, Deployment]:
    """The newest deployment as it was found, and the one that is over now."""
    before = rollout.newest(aws, service.cluster, service.name)
    if again and before and before.ended and not _good(before, service):
        say(_why_again(before, service))
        aws.client("ecs").update_service(
            cluster=service.cluster,
            service=service.name,
            taskDefinition=service.task_definition,
            forceNewDeployment=True,
        )
    try:
        deployment = rollout.follow(aws, service, say, timeout)
    except TimeoutError as error:
        raise SlipwayError(f"Roll out: {error}. {serving(aws, service)}", "Look at the service's events.") from None
    if deployment is None:
        raise SlipwayError(f"Roll out: ECS knows no deployment of {service.name}.", "pulumi refresh, then up")
    if not _good(deployment, service):
        raise _failure(aws, service, deployment)
    return before, deployment


def _good(deployment: Deployment, service: Service) -> bool:
    return deployment.status == SUCCESSFUL and deployment.task_definition == service.task_definition


def _why_again(before: Deployment, service: Service) -> str:
    if before.task_definition != service.task_definition:
        name = before.task_definition.rsplit("/", 1)[-1]
        return f"Somebody else deployed {name} to {service.name}, or its tasks fell: putting {_short(service)} back."
    return f"The last rollout of {_short(service)} ended as {before.status}: trying it once more."


def _failure(aws: Aws, service: Service, deployment: Deployment) -> SlipwayError:
    if deployment.task_definition != service.task_definition:
        other = deployment.task_definition.rsplit("/", 1)[-1]
        head = f"Roll out: while {_short(service)} was rolled out, somebody deployed {other} to {service.name}."
    else:
        end = ENDS.get(deployment.status, "ECS starts no more tasks of it")
        head = f"Roll out: the new tasks of {service.name} do not come up; {end}."
    lines = [head, *([deployment.reason] if deployment.reason else []), *explain(aws, service, deployment)]
    return SlipwayError(
        "\n".join([*lines, serving(aws, service)]),
        "Mend it and run `up` again: until this revision serves, every `up` fails here. "
        "Or put the release before back: `slipway rollback STACK`.",
    )


def _stands(aws: Aws, service: Service, deployment: Deployment) -> None:
    """As many tasks run as should, none of them unhealthy; a task that ends for a moment is given time."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        (found,) = aws.client("ecs").describe_services(cluster=service.cluster, services=[service.name])["services"]
        ill = [task for task in rollout.tasks(aws, service) if task.get("healthStatus") == "UNHEALTHY"]
        if found["runningCount"] >= found["desiredCount"] and not ill:
            return
        if time.monotonic() > deadline:
            lines = [
                f"Verify: {service.name} was rolled out, but {found['runningCount']} of {found['desiredCount']} tasks "
                f"run, {len(ill)} of them unhealthy.",
                *explain(aws, service, deployment),
            ]
            raise SlipwayError("\n".join(lines), "Mend it, or go back: `slipway rollback STACK`.")
        time.sleep(rollout.POLL_SECONDS)


def _lasts(aws: Aws, service: Service, deployment: Deployment, say: Say, *, put_back: bool) -> None:
    """Where new tasks fell during the rollout, those that run have to outlive them, or the former is put back.

    ECS's breaker counts failures in a row: tasks that come up healthy each time, and fall later, are none to it.
    """
    fallen = rollout.stopped_tasks(aws, service, deployment)
    if not fallen:
        return
    ages = [(task["stoppedAt"] - task["startedAt"]).total_seconds() for task in fallen if "startedAt" in task]
    seconds = min(max(ages, default=0.0) + WATCH_SECONDS, LONGEST_WATCH_SECONDS)
    say(f"{service.name}: {len(fallen)} of its new tasks fell. Watching for {seconds:.0f} s whether another does.")
    deadline = time.monotonic() + seconds
    while len(rollout.stopped_tasks(aws, service, deployment)) <= len(fallen):
        if time.monotonic() > deadline:
            return
        time.sleep(rollout.POLL_SECONDS)
    head, lines = f"Verify: the new tasks of {service.name} come up, and fall later", explain(aws, service, deployment)
    history = rollout.deployments(aws, service.cluster, service.name)
    good = (each for each in history if each.status == SUCCESSFUL and each.task_definition != service.task_definition)
    former = next(good, None)
    if put_back and former:
        aws.client("ecs").update_service(
            cluster=service.cluster,
            service=service.name,
            taskDefinition=former.task_definition,
            forceNewDeployment=True,
        )
        back = Service(service.cluster, service.name, former.task_definition)
        ended = rollout.follow(aws, back, say)
        done = "rolled back" if ended and _good(ended, back) else "tried to roll back, without success,"
        head = f"{head}; {done} to {_short(back)}"
    raise SlipwayError(
        "\n".join([f"{head}.", *lines, serving(aws, service)]),
        "Mend it and run `up` again: until this revision serves and lasts, every `up` fails here.",
    )


def _say_alarms(aws: Aws, service: Service, say: Say) -> None:
    """ECS ignores an alarm that is in ALARM when a deployment starts: that it would not roll back is said."""
    (found,) = aws.client("ecs").describe_services(cluster=service.cluster, services=[service.name])["services"]
    alarms = (found.get("deploymentConfiguration") or {}).get("alarms") or {}
    if not alarms.get("enable"):
        return
    states = aws.client("cloudwatch").describe_alarms(
        AlarmNames=alarms["alarmNames"], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    for alarm in [*states["MetricAlarms"], *states.get("CompositeAlarms", [])]:
        if alarm["StateValue"] == "ALARM":
            say(f"The alarm {alarm['AlarmName']} is in ALARM already: ECS does not roll back by it this time.")


def _running_digests(aws: Aws, service: Service) -> dict[str, str]:
    """The digests of the running tasks; raises where one is not the task definition's."""
    about = aws.client("ecs").describe_task_definition(taskDefinition=service.task_definition)["taskDefinition"]
    wanted = {each["name"]: each["image"].partition("@")[2] for each in about["containerDefinitions"]}
    found: dict[str, str] = {}
    for task in rollout.tasks(aws, service):
        if task["lastStatus"] != "RUNNING" or task["desiredStatus"] != "RUNNING":
            continue
        for each in task["containers"]:
            name, digest = each["name"], each.get("imageDigest", "")
            if wanted.get(name) and digest != wanted[name]:
                raise SlipwayError(
                    f"Verify: {name} in task {task['taskArn'].rsplit('/', 1)[-1]} runs {digest or 'no known digest'}, "
                    f"and {wanted[name]} was asked for.",
                    "Run `up` again; if it stays so, deploy the image by its digest anew.",
                )
            found[name] = digest
    return found


def _short(service: Service) -> str:
    return service.task_definition.rsplit("/", 1)[-1]
