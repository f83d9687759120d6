"""A task definition of the app's image, with its log group and its two roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.components.registry import Registry
from infra.components.roles import Statement, execution_role, task_role


@dataclass(frozen=True)
class TaskArgs:
    """Inputs of `Task`: what web, worker and one-off tasks have in common."""

    registry: Registry
    image: pulumi.Input[str]
    """The image by digest."""
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Plain variables; a secret does not belong here (ECS.8)."""
    secrets: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Variable -> the secret (and JSON key) that ECS reads it from when the task starts."""
    secret_arns: Sequence[pulumi.Input[str]] = ()
    """The secrets that `secrets` name."""
    key_arn: pulumi.Input[str] | None = None
    """The key that they are encrypted with."""
    statements: Sequence[Statement] = ()
    """What the app's own code may do in AWS."""
    cpu: int = 1024
    """CPU units."""
    memory: int = 2048
    """MiB."""
    architecture: str = "X86_64"
    log_retention_days: int = 30
    command: Sequence[str] = ()
    """Instead of the image's own."""
    container: Mapping[str, Any] = field(default_factory=dict)
    """More of the container definition: ports, health check."""

    def but(self, **changes: Any) -> TaskArgs:
        """The same task in another role."""
        return replace(self, **changes)


class Task(pulumi.ComponentResource):
    """Log group, execution role, task role and task definition; the container is named after `label`."""

    arn: pulumi.Output[str]
    family: str
    log_group_name: pulumi.Output[str]
    ready: list[pulumi.Resource]
    """The roles: what uses the task depends on them, for a task cannot stop in order without them."""

    def __init__(self, name: str, label: str, args: TaskArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:task:Task", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        logs = aws.cloudwatch.LogGroup(f"{name}-logs", retention_in_days=args.log_retention_days, opts=child)
        execution = execution_role(
            name,
            repository_arn=args.registry.repository_arn,
            log_group_arn=logs.arn,
            parent=self,
            extra=_read_secrets(args),
        )
        task = task_role(name, statements=args.statements, parent=self)
        definition = aws.ecs.TaskDefinition(
            f"{name}-task",
            family=name,
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(args.cpu),
            memory=str(args.memory),
            runtime_platform={"operating_system_family": "LINUX", "cpu_architecture": args.architecture},
            volumes=[{"name": "tmp"}],
            execution_role_arn=execution.arn,
            task_role_arn=task.arn,
            container_definitions=_container(label, args, logs),
            opts=child,
        )
        self.arn = definition.arn
        self.family = name
        self.log_group_name = logs.name
        self.ready = [execution, task, definition]
        self.register_outputs({"arn": self.arn})


def _read_secrets(args: TaskArgs) -> list[Statement]:
    if not args.secret_arns:
        return []
    statements: list[Statement] = [
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": list(args.secret_arns)}
    ]
    if args.key_arn is not None:
        statements.append({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": args.key_arn})
    return statements


def _container(label: str, args: TaskArgs, logs: aws.cloudwatch.LogGroup) -> pulumi.Output[str]:
    definition: dict[str, Any] = {
        "name": label,
        "image": args.image,
        "essential": True,
        "user": contract.APP_USER,
        "readonlyRootFilesystem": True,
        "privileged": False,
        "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}},
        # Fargate has no tmpfs: a volume of the task's own is the writable place.
        "mountPoints": [{"sourceVolume": "tmp", "containerPath": contract.SCRATCH_PATH}],
        "environment": [{"name": key, "value": value} for key, value in sorted(args.environment.items())],
        "secrets": [{"name": key, "valueFrom": source} for key, source in sorted(args.secrets.items())],
        "stopTimeout": contract.STOP_TIMEOUT_SECONDS,
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": logs.name,
                "awslogs-region": aws.get_region_output().region,
                "awslogs-stream-prefix": label,
            },
        },
    }
    if args.command:
        definition["command"] = list(args.command)
    return pulumi.Output.json_dumps([definition | dict(args.container)])
