"""ECS's events on EventBridge: only that a task has stopped, where AWS sends every change of its state."""

from __future__ import annotations

import json
from typing import Any

from ministack.services import eventbridge

TASK_DETAIL_FIELDS = (
    "clusterArn", "taskArn", "taskDefinitionArn", "group", "startedBy", "launchType", "version",
    "lastStatus", "desiredStatus", "stopCode", "stoppedReason", "startedAt", "stoppingAt", "stoppedAt",
)  # fmt: skip
CONTAINER_DETAIL_FIELDS = ("containerArn", "name", "lastStatus", "exitCode", "reason", "image")


def publish_task_stopped(task: dict[str, Any]) -> None:
    """Puts the event on the default bus."""
    detail = {key: task[key] for key in TASK_DETAIL_FIELDS if task.get(key) is not None}
    detail["containers"] = [
        {key: container[key] for key in CONTAINER_DETAIL_FIELDS if container.get(key) is not None}
        for container in task["containers"]
    ]
    event = {
        "Source": "aws.ecs",
        "DetailType": "ECS Task State Change",
        "Detail": json.dumps(detail, default=str),
        "Resources": [task["taskArn"]],
    }
    eventbridge._put_events({"Entries": [event]}, allow_aws_source=True)
