"""The database is migrated before traffic moves: a one-off task of the same image, or the service is not touched."""

from __future__ import annotations

from typing import Any

import pulumi
from botocore.exceptions import WaiterError

from infra.release.client import session

CONTAINER = "migrate"

START_SECONDS = 600
"""For a task to be placed, to pull its image and to migrate."""
LOG_LINES = 50


def before_the_service_changes(name: str, family: str) -> pulumi.ResourceHookBinding:
    """Hooks of an ECS service that run the newest task definition of `family` first.

    A task that does not exit with 0 stops the update with its last log lines; the old revision goes on serving. The
    hook runs before every creation and update of the service, so a failed migration is tried again by the next `up`.
    """

    aws = session()

    def migrate(args: pulumi.ResourceHookArgs) -> None:
        inputs = args.new_inputs or {}
        run(aws, str(inputs["cluster"]), family, dict(inputs["networkConfiguration"]))

    hook = pulumi.ResourceHook(f"{name}-migrate", migrate, opts=pulumi.ResourceHookOptions(on_dry_run=False))
    return pulumi.ResourceHookBinding(before_create=[hook], before_update=[hook])


def run(aws: Any, cluster: str, family: str, network: dict[str, Any]) -> None:
    """Run the task to its end; raises `RuntimeError` with the reason and the last log lines when it fails."""
    ecs = aws.client("ecs")
    started = ecs.run_task(
        cluster=cluster,
        taskDefinition=family,
        launchType="FARGATE",
        startedBy="slipway-migrate",
        networkConfiguration={
            "awsvpcConfiguration": {
                "subnets": network["subnets"],
                "securityGroups": network.get("securityGroups") or [],
                "assignPublicIp": "DISABLED",
            }
        },
    )
    if not started["tasks"]:
        raise RuntimeError(f"the migration task was not started: {started.get('failures')}")
    arn = started["tasks"][0]["taskArn"]
    try:
        ecs.get_waiter("tasks_stopped").wait(
            cluster=cluster, tasks=[arn], WaiterConfig={"Delay": 1, "MaxAttempts": START_SECONDS}
        )
    except WaiterError:
        ecs.stop_task(cluster=cluster, task=arn, reason="the migration took too long")
        raise RuntimeError(f"the migration did not end in {START_SECONDS} s; the service was not touched") from None
    (task,) = ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"]
    container = _own(task["containers"])
    if container.get("exitCode") != 0:
        why = container.get("reason") or task.get("stoppedReason") or "no reason given"
        raise RuntimeError(
            f"the migration failed (exit code {container.get('exitCode')}, {why}); the service was not touched.\n"
            + "\n".join(_last_lines(aws, task))
        )


def _own(containers: list[Any]) -> Any:
    """The migration's container: AWS may add others, such as GuardDuty's."""
    return next(container for container in containers if container["name"] == CONTAINER)


def _last_lines(aws: Any, task: Any) -> list[str]:
    about = aws.client("ecs").describe_task_definition(taskDefinition=task["taskDefinitionArn"])
    container = _own(about["taskDefinition"]["containerDefinitions"])
    options = container["logConfiguration"]["options"]
    stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{task['taskArn'].rsplit('/', 1)[-1]}"
    logs = aws.client("logs")
    try:
        events = logs.get_log_events(
            logGroupName=options["awslogs-group"], logStreamName=stream, limit=LOG_LINES, startFromHead=False
        )["events"]
    except logs.exceptions.ResourceNotFoundException:
        return ["(it wrote no log)"]
    return [event["message"] for event in events]
