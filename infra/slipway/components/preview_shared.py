"""Creates the resources that all previews of an environment share, because AWS creates them slowly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.iam_roles import Statement, create_execution_role, create_task_role
from slipway.components.outputs import (
    EnvironmentOutputs,
    PreviewSharedOutputs,
    SecretReference,
    TaskDefinitionOutputs,
)
from slipway.components.security_group import allow_connections_on_any_port, allow_https_egress, allow_store_access
from slipway.components.task_definition import ContainerDefinition, FargateTaskDefinition, FargateTaskDefinitionArgs
from slipway.config import constants, names

CPU = 256
"""CPU units of the database task, which runs psql."""
MEMORY = 512
"""MiB of the database task."""
DATABASE_STORE = "database"


@dataclass(frozen=True)
class PreviewDatabaseTaskArgs:
    """The task that creates and drops the databases of previews, as the owner of the database server."""

    image: pulumi.Input[str]
    """The kit's psql image."""
    environment: Mapping[str, pulumi.Input[str]]
    """PGHOST, PGPORT and PGDATABASE of the server."""
    secrets: Mapping[str, SecretReference]
    """PGUSER and PGPASSWORD of its owner."""


@dataclass(frozen=True)
class PreviewSharedResourcesArgs:
    """Inputs of `PreviewSharedResources`."""

    environment_outputs: EnvironmentOutputs
    port: int
    """Port of the app, which the load balancer connects to."""
    domain: str = ""
    """A preview's host is its stack's name, a dot and this; empty: the load balancer's own name."""
    url: pulumi.Input[str] = ""
    """URL of the listener that previews are behind; empty: the load balancer's."""
    listener_arn: pulumi.Input[str] = ""
    """Listener that previews add their rules to; empty: the load balancer's."""
    limit: int = 5
    """Maximum number of previews."""
    cache_image: pulumi.Input[str] = ""
    """Redis image for a sidecar; empty for an app that needs no cache."""
    database_task: PreviewDatabaseTaskArgs | None = None
    """None for an app that needs no database."""
    template: str = ""
    """Database that a preview's begins as a copy of; empty: it begins empty."""
    task_statements: Sequence[Statement] = ()
    """Statements of the task role of all previews: ECS Exec's."""
    database_port: int = 0
    """Port on which previews may reach databases on the internet; 0: none."""
    architecture: str = "X86_64"
    log_retention_days: int = 30


class PreviewSharedResources(pulumi.ComponentResource):
    """Creates roles and a security group for all previews, and the task that creates their databases.

    The execution role reads the secrets of previews and no others, and the task role allows nothing in AWS but ECS
    Exec, where that is on. The security group allows ingress from the load balancer, and egress to the database and
    HTTPS, not to the environment's cache. The database task alone has the owner's password; it has roles of its own
    and runs no code of a pull request. Costs nothing until that task runs.
    """

    outputs: PreviewSharedOutputs
    tasks: list[TaskDefinitionOutputs]
    """Task definition that creates their databases; none for an app that needs no database."""

    def __init__(self, name: str, args: PreviewSharedResourcesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:previews:PreviewSharedResources", name, None, opts)
        environment_outputs = args.environment_outputs
        prefix = names.preview_name_prefix(name)
        group = self._create_security_group(name, args)
        region = aws.get_region_output(opts=pulumi.InvokeOutputOptions(parent=self)).region
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        execution_role, _ = create_execution_role(
            f"{name}-previews",
            repository_arn=environment_outputs.registry.arn,
            log_group_arn=pulumi.Output.format("arn:aws:logs:{0}:{1}:log-group:{2}/*", region, account, prefix),
            parent=self,
            extra=[
                {
                    "Effect": "Allow",
                    "Action": "secretsmanager:GetSecretValue",
                    "Resource": pulumi.Output.format(
                        "arn:aws:secretsmanager:{0}:{1}:secret:{2}/*", region, account, prefix
                    ),
                },
                {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": environment_outputs.key_arn},
            ],
        )
        task_role, _ = create_task_role(f"{name}-previews", statements=args.task_statements, parent=self)
        self.tasks = []
        if args.database_task:
            self.tasks.append(self._create_database_task(f"{name}-previews-db", args, args.database_task))
        self.outputs = PreviewSharedOutputs(
            domain=args.domain
            or pulumi.Output.from_input(environment_outputs.load_balancer.dns_name).apply(_without_port),
            url=args.url or environment_outputs.load_balancer.url,
            listener_arn=args.listener_arn or environment_outputs.load_balancer.listener_arn,
            limit=args.limit,
            security_group_id=group.id,
            execution_role_arn=execution_role.arn,
            task_role_arn=task_role.arn,
            cache_image=args.cache_image,
            database_task=self.tasks[0].family if self.tasks else "",
            template=args.template,
        )
        self.register_outputs({})

    def _create_security_group(self, name: str, args: PreviewSharedResourcesArgs) -> aws.ec2.SecurityGroup:
        environment_outputs = args.environment_outputs
        group = aws.ec2.SecurityGroup(
            f"{name}-previews",
            description="Previews: reached by the load balancer, reach the database and AWS over HTTPS",
            vpc_id=environment_outputs.network.vpc_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        allow_connections_on_any_port(
            f"{name}-previews-from-lb",
            source=environment_outputs.load_balancer.security_group_id,
            target=group.id,
            description="Requests to previews and their health checks, on the port of each pull request's app",
            parent=self,
        )
        allow_https_egress(f"{name}-previews", source=group.id, parent=self)
        if args.database_port:
            aws.vpc.SecurityGroupEgressRule(
                f"{name}-previews-databases",
                security_group_id=group.id,
                description="Databases that are not the environment's",
                cidr_ipv4="0.0.0.0/0",
                ip_protocol="tcp",
                from_port=args.database_port,
                to_port=args.database_port,
                opts=pulumi.ResourceOptions(parent=self),
            )
        allow_store_access(
            f"{name}-previews",
            "Previews",
            source=group.id,
            stores=environment_outputs.stores(DATABASE_STORE),
            parent=self,
        )
        return group

    def _create_database_task(
        self, name: str, args: PreviewSharedResourcesArgs, database_task: PreviewDatabaseTaskArgs
    ) -> TaskDefinitionOutputs:
        """Creates the definition of the database task."""
        container = ContainerDefinition(
            name=DATABASE_STORE,
            image=database_task.image,
            environment={
                **database_task.environment,
                "PGSSLMODE": "verify-full",
                "PGSSLROOTCERT": constants.DATABASE_CA_PATH,
                "SCRIPT": "preview.sql",
            },
            secrets=database_task.secrets,
        )
        task = FargateTaskDefinitionArgs(
            [container],
            repository_arn=args.environment_outputs.registry.arn,
            key_arn=args.environment_outputs.key_arn,
            cpu=CPU,
            memory=MEMORY,
            architecture=args.architecture,
            log_retention_days=args.log_retention_days,
        )
        return FargateTaskDefinition(name, task, opts=pulumi.ResourceOptions(parent=self)).outputs


def _without_port(host: str) -> str:
    return host.partition(":")[0]
