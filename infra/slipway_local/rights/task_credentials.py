"""Credentials of ECS tasks, as ECS's agent gives them out: by a path that only the task knows.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from slipway_local.rights.answers import Answer
from slipway_local.rights.aws_state import AwsState, Credentials
from slipway_local.rights.sts_calls import Sessions

PATH = "/v2/credentials/"
"""Start of the path, as it is in ECS."""

LIFETIME_SECONDS = 6 * 3600
RENEWED_SECONDS = 15 * 60
"""Remaining lifetime at which credentials are renewed, before an SDK asks for new ones."""


@dataclass
class _Task:
    role_arn: str
    session_name: str
    credentials: Credentials | None = None


class TaskCredentials:
    """Credentials by the paths that were given to tasks."""

    def __init__(self, state: AwsState, sessions: Sessions) -> None:
        self._state = state
        self._sessions = sessions
        self._tasks: dict[str, _Task] = {}

    def add(self, role_arn: str, task_arn: str) -> str:
        """Returns the path for AWS_CONTAINER_CREDENTIALS_RELATIVE_URI of a task that begins with this role."""
        path = PATH + secrets.token_urlsafe(24)
        self._tasks[path] = _Task(role_arn, task_arn.rpartition("/")[2])
        return path

    def remove(self, task_arn: str) -> None:
        """Forgets a task that has ended. What it was given runs out by itself."""
        name = task_arn.rpartition("/")[2]
        for path in [path for path, task in self._tasks.items() if task.session_name == name]:
            del self._tasks[path]

    def has(self, path: str) -> bool:
        """Whether a path is one that was given to a task."""
        return path in self._tasks

    def answer(self, path: str) -> Answer:
        """Returns the credentials of a path, in the form that AWS's SDKs read; an error where there are none."""
        task = self._tasks.get(path)
        role = self._state.role(task.role_arn.split(":")[4], task.role_arn.rpartition("/")[2]) if task else None
        headers = {"content-type": "application/json"}
        if task is None or role is None:
            error = {
                "code": "InvalidIdInRequest",
                "message": "CredentialsV2Request: ID not found",
                "HTTPErrorCode": 400,
            }
            return Answer(400, headers, json.dumps(error).encode())
        if task.credentials is None or task.credentials.expiration - time.time() < RENEWED_SECONDS:
            task.credentials = self._sessions.start_session(role, task.session_name, LIFETIME_SECONDS)
        given = task.credentials
        body = {
            "RoleArn": task.role_arn,
            "AccessKeyId": given.access_key_id,
            "SecretAccessKey": given.secret,
            "Token": given.session_token,
            "Expiration": datetime.fromtimestamp(given.expiration, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return Answer(200, headers, json.dumps(body).encode())
