"""Reads the digests of a service's running tasks, and the state of the alarms that would roll it back."""

from __future__ import annotations

from slipway.config.errors import SlipwayError
from slipway.release import rollout
from slipway.release.aws_session import AwsSession
from slipway.release.progress import ProgressReporter
from slipway.release.rollout import ExpectedService


def report_active_alarms(aws: AwsSession, service: ExpectedService, say: ProgressReporter) -> None:
    """Reports alarms in ALARM: ECS ignores them for a deployment that starts now, and does not roll back."""
    configuration = rollout.describe_service(aws, service).get("deploymentConfiguration") or {}
    alarms = configuration.get("alarms") or {}
    if not alarms.get("enable"):
        return
    described = aws.client("cloudwatch").describe_alarms(
        AlarmNames=alarms["alarmNames"], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    for alarm in [*described["MetricAlarms"], *described.get("CompositeAlarms", [])]:
        if alarm["StateValue"] == "ALARM":
            say(f"The alarm {alarm['AlarmName']} is in ALARM before the rollout: ECS will not roll back because of it.")


def running_digests(aws: AwsSession, service: ExpectedService) -> dict[str, str]:
    """Returns container -> running digest. Raises `SlipwayError` if a task's differs from its definition's."""
    described = aws.client("ecs").describe_task_definition(taskDefinition=service.task_definition)["taskDefinition"]
    expected = {
        definition["name"]: definition["image"].partition("@")[2] for definition in described["containerDefinitions"]
    }
    digests: dict[str, str] = {}
    for task in rollout.list_current_tasks(aws, service):
        if task["lastStatus"] != "RUNNING" or task["desiredStatus"] != "RUNNING":
            continue
        for container in task["containers"]:
            name = container["name"]
            digest = container.get("imageDigest", "")
            if expected.get(name) and digest != expected[name]:
                raise SlipwayError(
                    f"Verify: {name} in task {task['taskArn'].rsplit('/', 1)[-1]} runs "
                    f"{digest or 'an unknown digest'}, and its definition has {expected[name]}.",
                    "Run `up` again; if that does not help, push the image again.",
                )
            digests[name] = digest
    return digests
