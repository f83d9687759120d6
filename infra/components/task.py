"""A task definition, with its log group and its two roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.components.roles import Statement, execution_role, task_role
from infra.foundation import Foundation, SecretValue, TaskFacts
from infra.settings import Settings

LOG_BUFFER = "10m"
"""Of each container, out of its task's memory: ECS's own default is as much, where an account has that one."""


@dataclass(frozen=True)
class Container:
    """One container of a task."""

    name: str
    image: pulumi.Input[str]
    """By digest."""
    command: Sequence[str] = ()
    """Instead of the image's own."""
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Plain variables; a secret does not belong here (ECS.8)."""
    secrets: Mapping[str, SecretValue] = field(default_factory=dict)
    """Variables that ECS reads from Secrets Manager when the task starts."""
    port: int | None = None
    health_check: Mapping[str, Any] | None = None
    essential: bool = True
    """Whether the task ends with it."""
    after: str = ""
    """The container that has to have exited with 0 before this one starts."""
    beside: str = ""
    """The container that has to run before this one starts, and that runs until this one has ended."""
    restarts: bool = False
    """Whether ECS starts it again when it ends: for one that is not essential."""
    scratch: bool = True
    """Whether it has the task's folder to write to; the first container to have it says who may."""

    def but(self, **changes: Any) -> Container:
        """The same with changes."""
        return replace(self, **changes)


@dataclass(frozen=True)
class TaskArgs:
    """Inputs of `Task`."""

    containers: Sequence[Container]
    registry_arn: pulumi.Input[str]
    """The repository that the images are in."""
    key_arn: pulumi.Input[str]
    """What secrets and log are encrypted with."""
    statements: Sequence[Statement] = ()
    """What the code may do in AWS."""
    cpu: int = 256
    """CPU units."""
    memory: int = 512
    """MiB."""
    architecture: str = "X86_64"
    log_retention_days: int = 30
    stop_timeout: int = contract.ROLLOUTS["fast"].stop_timeout
    """Seconds from SIGTERM to SIGKILL."""

    @classmethod
    def of(cls, settings: Settings, foundation: Foundation, rollout: contract.Rollout, **more: Any) -> TaskArgs:
        """A task of the app's code, as a stack has it; its containers and sizes are `more`."""
        return cls(
            registry_arn=foundation.registry.arn,
            key_arn=foundation.key_arn,
            architecture=settings.architecture,
            log_retention_days=settings.log_retention_days,
            stop_timeout=rollout.stop_timeout,
            **more,
        )

    def but(self, **changes: Any) -> TaskArgs:
        """The same with changes."""
        return replace(self, **changes)


class Task(pulumi.ComponentResource):
    """Log group, execution role, task role and task definition. Costs nothing until it runs."""

    facts: TaskFacts

    def __init__(self, name: str, args: TaskArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:task:Task", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs", retention_in_days=args.log_retention_days, kms_key_id=args.key_arn, opts=child
        )
        execution, can_start = execution_role(
            name,
            repository_arn=args.registry_arn,
            log_group_arn=logs.arn,
            parent=self,
            extra=_read_secrets(args),
        )
        task, can_work = task_role(name, statements=args.statements, parent=self)
        definition = task_definition(
            name,
            args,
            log_group=logs.name,
            execution_role_arn=execution.arn,
            task_role_arn=task.arn,
            parent=self,
        )
        self.facts = TaskFacts(
            arn=definition.arn,
            family=name,
            family_arn=definition.arn_without_revision,
            log_group_name=logs.name,
            log_group_arn=logs.arn,
            role_arns=[execution.arn, task.arn],
            ready=[*can_start, *can_work, definition],
        )
        self.register_outputs({"arn": definition.arn})


def task_definition(
    name: str,
    args: TaskArgs,
    *,
    log_group: pulumi.Input[str],
    execution_role_arn: pulumi.Input[str],
    task_role_arn: pulumi.Input[str],
    parent: pulumi.Resource,
) -> aws.ecs.TaskDefinition:
    """The task definition alone, with roles and a log group that somebody made."""
    region = aws.get_region_output(opts=pulumi.InvokeOutputOptions(parent=parent)).region
    return aws.ecs.TaskDefinition(
        f"{name}-task",
        family=name,
        requires_compatibilities=["FARGATE"],
        network_mode="awsvpc",
        cpu=str(args.cpu),
        memory=str(args.memory),
        runtime_platform={"operating_system_family": "LINUX", "cpu_architecture": args.architecture},
        volumes=[{"name": "tmp"}],
        execution_role_arn=execution_role_arn,
        task_role_arn=task_role_arn,
        # ECS may go back to a former revision: the oldest are deregistered, when the newest serves.
        skip_destroy=True,
        container_definitions=pulumi.Output.json_dumps(
            [_definition(container, log_group, region, args.stop_timeout) for container in args.containers]
        ),
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _read_secrets(args: TaskArgs) -> list[Statement]:
    secrets = [secret for container in args.containers for secret in container.secrets.values()]
    arns = list({id(secret.arn): secret.arn for secret in secrets}.values())
    if not arns:
        return []
    return [
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arns},
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": args.key_arn},
    ]


def _definition(
    container: Container, log_group: pulumi.Input[str], region: pulumi.Input[str], stop_timeout: int
) -> dict[str, pulumi.Input[Any]]:
    found: dict[str, Any] = {
        "name": container.name,
        "image": container.image,
        "essential": container.essential,
        "user": contract.APP_USER,
        "readonlyRootFilesystem": True,
        "privileged": False,
        "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}},
        # Fargate has no tmpfs: a volume of the task's own is the writable place.
        "mountPoints": [{"sourceVolume": "tmp", "containerPath": contract.SCRATCH_PATH}] if container.scratch else [],
        "environment": [{"name": key, "value": value} for key, value in sorted(container.environment.items())],
        "secrets": [{"name": key, "valueFrom": value.reference} for key, value in sorted(container.secrets.items())],
        "stopTimeout": stop_timeout,
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": log_group,
                "awslogs-region": region,
                "awslogs-stream-prefix": container.name,
                # When CloudWatch does not take them, lines are lost beyond this; the app goes on.
                "mode": "non-blocking",
                "max-buffer-size": LOG_BUFFER,
            },
        },
    }
    if container.command:
        found["command"] = list(container.command)
    if container.port:
        found["portMappings"] = [{"containerPort": container.port, "protocol": "tcp"}]
    if container.restarts:
        found["restartPolicy"] = {"enabled": True}
    if container.health_check:
        found["healthCheck"] = dict(container.health_check)
    waits = {container.after: "SUCCESS", container.beside: "START"}
    depends_on = [{"containerName": name, "condition": condition} for name, condition in waits.items() if name]
    if depends_on:
        found["dependsOn"] = depends_on
    return found
