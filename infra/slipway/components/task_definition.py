"""A Fargate task definition, with its log group and its two roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from slipway.components.ecs_exec import exec_mount_points, exec_volumes
from slipway.components.iam_roles import Statement, create_execution_role, create_task_role
from slipway.components.outputs import RoleOutputs, SecretReference, TaskDefinitionOutputs
from slipway.config import constants

LOG_BUFFER_SIZE = "10m"
"""Log buffer of each container, out of its task's memory; also ECS's default in accounts with non-blocking logs."""
RESTART_ATTEMPT_SECONDS = 60
"""ECS restarts no container that stops sooner after its start: AWS's minimum, whose default is 300."""


@dataclass(frozen=True)
class ContainerDefinition:
    """One container of a task."""

    name: str
    image: pulumi.Input[str]
    """Image reference with a digest."""
    command: Sequence[str] = ()
    """Command instead of the image's; empty: the image's."""
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Plain environment variables; never a secret (ECS.8)."""
    secrets: Mapping[str, SecretReference] = field(default_factory=dict)
    """Environment variables that ECS reads from Secrets Manager when the task starts."""
    port: int | None = None
    health_check: Mapping[str, Any] | None = None
    essential: bool = True
    """Whether the task stops when it stops."""
    wait_for_success: str = ""
    """Container that must exit with 0 before this one starts; empty: none."""
    wait_for_start: str = ""
    """Container that must run before this one starts, and that stops after it; empty: none."""
    has_restart_policy: bool = False
    """Whether ECS restarts it after it ran for a minute or more; for a non-essential container."""
    scratch: bool = True
    """Whether the task's writable volume is mounted; the first container to mount it sets its owner."""
    has_exec: bool = False
    """Whether ECS Exec may reach it, in a task where it is on."""


@dataclass(frozen=True)
class FargateTaskDefinitionArgs:
    """Inputs of `FargateTaskDefinition`."""

    containers: Sequence[ContainerDefinition]
    repository_arn: pulumi.Input[str]
    """Repository of the images."""
    key_arn: pulumi.Input[str]
    """Key that encrypts secrets and logs."""
    statements: Sequence[Statement] = ()
    """Statements of the task role."""
    cpu: int = 256
    """CPU units."""
    memory: int = 512
    """MiB."""
    architecture: str = "X86_64"
    log_retention_days: int = 30
    stop_timeout: int = constants.DEPLOY_PROFILES["fast"].stop_timeout
    """Seconds from SIGTERM to SIGKILL."""
    has_exec: bool = False
    """Whether ECS Exec is on: its agent's folders are writable. Its `statements` are the caller's to add."""

    def serving_container(self, name: str) -> tuple[ContainerDefinition, int]:
        """Returns the first container, which serves, and its port. Raises `ValueError` for `name` without one."""
        serving = self.containers[0]
        if serving.port is None:
            raise ValueError(f"{name}: the container {serving.name} has no port to serve on")
        return serving, serving.port


class FargateTaskDefinition(pulumi.ComponentResource):
    """Creates a log group, an execution role, a task role and a task definition. Costs nothing until it runs."""

    outputs: TaskDefinitionOutputs

    def __init__(self, name: str, args: FargateTaskDefinitionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:ecs:FargateTaskDefinition", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs", retention_in_days=args.log_retention_days, kms_key_id=args.key_arn, opts=child
        )
        execution_role, execution_resources = create_execution_role(
            name,
            repository_arn=args.repository_arn,
            log_group_arn=logs.arn,
            parent=self,
            extra=_read_secrets_statements(args),
            policy_key=" ".join(sorted({key for container in args.containers for key in container.secrets})),
        )
        task_role, task_resources = create_task_role(name, statements=args.statements, parent=self)
        definition = create_task_definition(
            name,
            args,
            log_group=logs.name,
            execution_role_arn=execution_role.arn,
            task_role_arn=task_role.arn,
            parent=self,
        )
        self.outputs = TaskDefinitionOutputs(
            arn=definition.arn,
            family=name,
            family_arn=definition.arn_without_revision,
            log_group_name=logs.name,
            log_group_arn=logs.arn,
            execution_role=RoleOutputs(execution_role.name, execution_role.arn),
            task_role=RoleOutputs(task_role.name, task_role.arn),
            has_exec=args.has_exec,
            ready=[*execution_resources, *task_resources, definition],
        )
        self.register_outputs({"arn": definition.arn})


def create_task_definition(
    name: str,
    args: FargateTaskDefinitionArgs,
    *,
    log_group: pulumi.Input[str],
    execution_role_arn: pulumi.Input[str],
    task_role_arn: pulumi.Input[str],
    parent: pulumi.Resource,
) -> aws.ecs.TaskDefinition:
    """Creates only the task definition, with existing roles and an existing log group."""
    region = aws.get_region_output(opts=pulumi.InvokeOutputOptions(parent=parent)).region
    return aws.ecs.TaskDefinition(
        f"{name}-task",
        family=name,
        requires_compatibilities=["FARGATE"],
        network_mode="awsvpc",
        cpu=str(args.cpu),
        memory=str(args.memory),
        runtime_platform={"operating_system_family": "LINUX", "cpu_architecture": args.architecture},
        volumes=_volumes(args),
        execution_role_arn=execution_role_arn,
        task_role_arn=task_role_arn,
        # ECS may roll back to an older revision: the oldest are deregistered when the newest serves.
        skip_destroy=True,
        container_definitions=pulumi.Output.json_dumps(
            [_container_definition(container, log_group, region, args) for container in args.containers]
        ),
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _read_secrets_statements(args: FargateTaskDefinitionArgs) -> list[Statement]:
    secrets = [secret for container in args.containers for secret in container.secrets.values()]
    arns = list({id(secret.arn): secret.arn for secret in secrets}.values())
    if not arns:
        return []
    return [
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arns},
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": args.key_arn},
    ]


def _volumes(args: FargateTaskDefinitionArgs) -> list[aws.ecs.TaskDefinitionVolumeArgsDict]:
    volumes: list[aws.ecs.TaskDefinitionVolumeArgsDict] = [{"name": "tmp"}]
    for container in args.containers:
        if args.has_exec and container.has_exec:
            volumes += exec_volumes(container.name)
    return volumes


def _mount_points(container: ContainerDefinition, args: FargateTaskDefinitionArgs) -> list[dict[str, str]]:
    scratch = [{"sourceVolume": "tmp", "containerPath": constants.SCRATCH_PATH}] if container.scratch else []
    return scratch + (exec_mount_points(container.name) if args.has_exec and container.has_exec else [])


def _container_definition(
    container: ContainerDefinition,
    log_group: pulumi.Input[str],
    region: pulumi.Input[str],
    args: FargateTaskDefinitionArgs,
) -> dict[str, pulumi.Input[Any]]:
    definition: dict[str, Any] = {
        "name": container.name,
        "image": container.image,
        "essential": container.essential,
        "user": constants.APP_USER,
        "readonlyRootFilesystem": True,
        "privileged": False,
        "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}},
        # Fargate has no tmpfs: a volume of the task is the writable folder.
        "mountPoints": _mount_points(container, args),
        "environment": [{"name": key, "value": value} for key, value in sorted(container.environment.items())],
        "secrets": [{"name": key, "valueFrom": value.value_from} for key, value in sorted(container.secrets.items())],
        "stopTimeout": args.stop_timeout,
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": log_group,
                "awslogs-region": region,
                "awslogs-stream-prefix": container.name,
                # When CloudWatch does not accept them, lines beyond the buffer are lost; the app continues.
                "mode": "non-blocking",
                "max-buffer-size": LOG_BUFFER_SIZE,
            },
        },
    }
    if container.command:
        definition["command"] = list(container.command)
    if container.port:
        definition["portMappings"] = [{"containerPort": container.port, "protocol": "tcp"}]
    if container.has_restart_policy:
        definition["restartPolicy"] = {"enabled": True, "restartAttemptPeriod": RESTART_ATTEMPT_SECONDS}
    if container.health_check:
        definition["healthCheck"] = dict(container.health_check)
    conditions = {container.wait_for_success: "SUCCESS", container.wait_for_start: "START"}
    depends_on = [{"containerName": name, "condition": condition} for name, condition in conditions.items() if name]
    if depends_on:
        definition["dependsOn"] = depends_on
    return definition
