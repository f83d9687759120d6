"""The two roles of an ECS task: its containers get credentials of the one, ECS itself works with the other.

A task definition without an execution role is not asked for rights: ministack takes one that AWS would refuse on
Fargate. One without a task role has no credentials, as on AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway_local.emulator import docker_host
from slipway_local.emulator.credentials_address import credentials_address
from slipway_local.emulator.ecs.failures import StartFailure, logger_failure, registry_auth_failure
from slipway_local.emulator.labels import gateway_port
from slipway_local.emulator.rights import emulator_authorizer

ECS_TASKS = "ecs-tasks.amazonaws.com"


class TaskRoles:
    """The roles of one task."""

    def __init__(self, definition: Mapping[str, Any], task_arn: str) -> None:
        self.task_role_arn = str(definition.get("taskRoleArn") or "")
        self.execution_role_arn = str(definition.get("executionRoleArn") or "")
        self._task_arn = task_arn
        self._region = task_arn.split(":")[3]
        self.task_id = task_arn.rpartition("/")[2]

    def ensure_assumable(self) -> None:
        """Checks that both roles exist and trust ECS.

        Raises:
            StartFailure: ECS may not assume one of them.
        """
        for role_arn in filter(None, (self.execution_role_arn, self.task_role_arn)):
            if not emulator_authorizer().service_may_assume(role_arn, ECS_TASKS, self._task_arn):
                raise StartFailure(
                    f"ECS was unable to assume the role '{role_arn}' that was provided for this task. Please verify "
                    "that the role being passed has the proper trust relationship and permissions and that your IAM "
                    "user has permissions to pass this role."
                )

    def credentials_environment(self) -> dict[str, str]:
        """Returns the variables by which an SDK finds the task role's credentials; the keys `test` where it cannot.

        SDKs append the relative URI to `http://169.254.170.2`. It begins with this emulator's port, for all emulators
        of a machine share the address. AWS's SDKs of before 2024 take no full URI of a host but loopback.
        """
        address = credentials_address()
        if not address:
            return docker_host.PERSON_KEYS
        if not self.task_role_arn:
            return {}
        path = emulator_authorizer().tasks.add(self.task_role_arn, self._task_arn)
        return {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": f":{gateway_port()}{path}"}

    def withdraw_credentials(self) -> None:
        """Gives out no more credentials: the task has ended."""
        emulator_authorizer().tasks.remove(self._task_arn)

    def task_role_denial(self, service: str, operation: str, params: Mapping[str, Any]) -> str | None:
        """Returns why the task role may not make a call, in AWS's words; None where it may."""
        return self._denial(self.task_role_arn, service, operation, params) if self.task_role_arn else None

    def task_role_action_denial(self, action: str) -> str | None:
        """Return why the task role may not perform an action on `*`, in AWS's words; None where it may."""
        return emulator_authorizer().action_denial(self.task_role_arn, self.task_id, self._region, action)

    def execution_role_denial(
        self, service: str, operation: str, params: Mapping[str, Any], region: str = ""
    ) -> str | None:
        """Returns why the execution role may not make a call, in AWS's words; None if it may or there is no role."""
        if not self.execution_role_arn:
            return None
        return self._denial(self.execution_role_arn, service, operation, params, region)

    def _denial(
        self, role_arn: str, service: str, operation: str, params: Mapping[str, Any], region: str = ""
    ) -> str | None:
        return emulator_authorizer().denial(role_arn, self.task_id, region or self._region, service, operation, params)

    def ensure_image_and_log(self, container: Mapping[str, Any]) -> None:
        """Checks the rights to pull a container's image and to create its log stream.

        Raises:
            StartFailure: the execution role lacks one of them.
        """
        self._ensure_pull(container["image"])
        self._ensure_log_stream(container)

    def _ensure_pull(self, image: str) -> None:
        """Checks the rights to pull an image of the local registry; others are public."""
        registry, _, path = image.partition("/")
        if registry != f"localhost:{gateway_port()}":
            return
        repository = path.partition("@")[0].partition(":")[0]
        denial = self.execution_role_denial("ecr", "GetAuthorizationToken", {})
        if denial:
            raise registry_auth_failure(denial)
        digest = path.partition("@")[2]
        image_id = {"imageDigest": digest} if digest else {"imageTag": path.partition(":")[2] or "latest"}
        calls: tuple[tuple[str, dict[str, Any]], ...] = (
            ("BatchGetImage", {"repositoryName": repository, "imageIds": [image_id]}),
            ("GetDownloadUrlForLayer", {"repositoryName": repository, "layerDigest": "sha256:"}),
        )
        for operation, params in calls:
            denial = self.execution_role_denial("ecr", operation, params)
            if denial:
                raise StartFailure(
                    f"CannotPullContainerError: pull image manifest has been retried 1 time(s): {denial}"
                )

    def _ensure_log_stream(self, container: Mapping[str, Any]) -> None:
        logging = _awslogs_options(container)
        if not logging:
            return
        region, group = str(logging.get("awslogs-region") or ""), logging["awslogs-group"]
        if str(logging.get("awslogs-create-group", "")).lower() == "true":
            denial = self.execution_role_denial("logs", "CreateLogGroup", {"logGroupName": group}, region)
            if denial:
                raise logger_failure("Cloudwatch log group", denial)
        denial = self.execution_role_denial("logs", "CreateLogStream", self._log_stream(container), region)
        if denial:
            raise logger_failure("Cloudwatch log stream", denial)

    def may_write_log(self, container: Mapping[str, Any]) -> bool:
        """Returns whether a container's lines reach its log. Where they may not, ECS drops them without a word."""
        region = str(_awslogs_options(container).get("awslogs-region") or "")
        return not self.execution_role_denial("logs", "PutLogEvents", self._log_stream(container), region)

    def _log_stream(self, container: Mapping[str, Any]) -> dict[str, str]:
        logging = _awslogs_options(container)
        stream = f"{logging.get('awslogs-stream-prefix', 'ecs')}/{container['name']}/{self.task_id}"
        return {"logGroupName": str(logging.get("awslogs-group", "")), "logStreamName": stream}


def _awslogs_options(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the options of a container's log driver; empty where its lines do not go to CloudWatch Logs."""
    configuration = container.get("logConfiguration") or {}
    options = configuration.get("options") or {}
    return options if configuration.get("logDriver") == "awslogs" and options.get("awslogs-group") else {}
