"""What ECS tells EventBridge of a task: here that it has stopped; AWS tells of every change of its state."""

from __future__ import annotations

import json
from typing import Any

from ministack.services import eventbridge

DETAIL = (
    "clusterArn", "taskArn", "taskDefinitionArn", "group", "startedBy", "launchType", "version",
    "lastStatus", "desiredStatus", "stopCode", "stoppedReason", "startedAt", "stoppingAt", "stoppedAt",
)  # fmt: skip
OF_A_CONTAINER = ("containerArn", "name", "lastStatus", "exitCode", "reason", "image")


def stopped(task: dict[str, Any]) -> None:
    """Put the event on the default bus."""
    detail = {key: task[key] for key in DETAIL if task.get(key) is not None}
    detail["containers"] = [
        {key: container[key] for key in OF_A_CONTAINER if container.get(key) is not None}
        for container in task["containers"]
    ]
    event = {
        "Source": "aws.ecs",
        "DetailType": "ECS Task State Change",
        "Detail": json.dumps(detail, default=str),
        "Resources": [task["taskArn"]],
    }
    eventbridge._put_events({"Entries": [event]}, allow_aws_source=True)
