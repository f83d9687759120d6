"""A task definition of the app's image, with its log group and its two roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.components.image import Image
from infra.components.network import Network
from infra.components.registry import Registry
from infra.components.roles import Statement, execution_role, task_role
from infra.components.secrets import Secrets
from infra.settings import Settings


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
    """The key that they and the log are encrypted with."""
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

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        network: Network,
        registry: Registry,
        image: Image,
        secrets: Secrets,
        key_arn: pulumi.Input[str],
        endpoints: contract.Endpoints,
    ) -> TaskArgs:
        """The app as a stack's settings have it: a web task, and with `but` every other."""
        return cls(
            registry=registry,
            image=image.reference,
            environment=contract.app_environment(
                settings.environment,
                endpoints,
                cpu=settings.web_cpu,
                pool_size=settings.database_pool_size,
                trusted_proxies=network.public_cidrs,
                database_ca=settings.pem("databaseCa", settings.database_ca) or contract.DATABASE_CA_PATH,
                cache_ca=settings.pem("cacheCa", settings.cache_ca),
                cors_origins=settings.cors_origins,
                # Without a domain the load balancer's own name is good enough.
                trusted_hosts=[settings.domain or "*"],
            ),
            secrets=secrets.references,
            secret_arns=secrets.arns,
            key_arn=key_arn,
            cpu=settings.web_cpu,
            memory=settings.web_memory,
            architecture=settings.architecture,
            log_retention_days=settings.log_retention_days,
        )

    def but(self, **changes: Any) -> TaskArgs:
        """The same task in another role."""
        return replace(self, **changes)

    def as_worker(self, settings: Settings, **changes: Any) -> TaskArgs:
        """In the size of a worker, for what nobody waits for."""
        return self.but(cpu=settings.worker_cpu, memory=settings.worker_memory, **changes)

    def as_owner(self, master_secret_arn: pulumi.Output[str]) -> TaskArgs:
        """The migration: the one task that is given the database owner's name and password."""
        return self.but(
            command=contract.MIGRATE_COMMAND,
            secrets={**self.secrets, **contract.owner_secrets(master_secret_arn)},
            secret_arns=[*self.secret_arns, master_secret_arn],
        )


class Task(pulumi.ComponentResource):
    """Log group, execution role, task role and task definition; the container is named after `label`."""

    arn: pulumi.Output[str]
    family: str
    family_arn: pulumi.Output[str]
    """The ARN without the revision."""
    log_group_name: pulumi.Output[str]
    log_group_arn: pulumi.Output[str]
    role_arns: list[pulumi.Output[str]]
    """What whoever registers or starts it has to pass on."""
    ready: list[pulumi.Resource]
    """The roles and what they may do: what uses the task depends on them, from its start until it has drained."""

    def __init__(self, name: str, label: str, args: TaskArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:task:Task", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs", retention_in_days=args.log_retention_days, kms_key_id=args.key_arn, opts=child
        )
        execution, can_start = execution_role(
            name,
            repository_arn=args.registry.repository_arn,
            log_group_arn=logs.arn,
            parent=self,
            extra=_read_secrets(args),
        )
        task, can_work = task_role(name, statements=args.statements, parent=self)
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
        self.family_arn = definition.arn_without_revision
        self.log_group_name, self.log_group_arn = logs.name, logs.arn
        self.role_arns = [execution.arn, task.arn]
        self.ready = [*can_start, *can_work, definition]
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
