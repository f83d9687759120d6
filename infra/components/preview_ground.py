"""What all previews of an environment share: made once by it, so that a preview makes nothing that is slow on AWS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import contract, naming
from infra.components.roles import execution_role, task_role
from infra.components.security_group import allow, allow_https_out, allow_stores
from infra.components.task import Container, Task, TaskArgs
from infra.foundation import Foundation, PreviewFacts, SecretValue
from infra.settings import Settings

CPU, MEMORY = 256, 512
"""CPU units and MiB of the task that makes databases: psql."""
DATABASE = "database"


@dataclass(frozen=True)
class PreviewGroundArgs:
    """Inputs of `PreviewGround`."""

    foundation: Foundation
    port: int
    """Of the app: what the load balancer reaches."""
    domain: str = ""
    """What follows a preview's name in its host; empty: the load balancer's own name."""
    url: pulumi.Input[str] = ""
    """Of the door; empty: the load balancer's."""
    listener_arn: pulumi.Input[str] = ""
    """Where their rules go; empty: the load balancer's."""
    limit: int = 5
    cache_image: pulumi.Input[str] = ""
    """A Redis to run beside the app; empty where the app needs none."""
    database_image: pulumi.Input[str] | None = None
    """The kit's psql; None where the app needs no database."""
    database: Mapping[str, pulumi.Input[str]] | None = None
    """How it connects: PGHOST and so on."""
    owner: Mapping[str, SecretValue] | None = None
    """PGUSER and PGPASSWORD of the server's owner."""
    template: str = ""
    """The database that theirs are copies of; empty: they begin empty."""
    database_port: int = 0
    """That previews may reach on the internet; 0: none."""
    architecture: str = "X86_64"
    log_retention_days: int = 30

    @classmethod
    def of(
        cls, settings: Settings, *, foundation: Foundation, port: int, cache_image: pulumi.Input[str]
    ) -> PreviewGroundArgs:
        """As a stack's settings have it, without the database."""
        return cls(
            foundation,
            port,
            limit=settings.preview_limit,
            database_port=settings.preview_database_port,
            cache_image=cache_image,
            architecture=settings.architecture,
            log_retention_days=settings.log_retention_days,
        )


class PreviewGround(pulumi.ComponentResource):
    """Roles and a security group for all previews, and the task that makes their databases.

    The execution role reads the secrets of previews and no others, the task role may do nothing in AWS, the security
    group lets tasks reach the database and HTTPS: not the environment's cache, and nobody reaches them but the load
    balancer. The owner's password is in the database task alone, which has roles of its own and no code of a pull
    request in it. Costs nothing until that task runs.
    """

    facts: PreviewFacts

    def __init__(self, name: str, args: PreviewGroundArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:previews:PreviewGround", name, None, opts)
        foundation, prefix = args.foundation, naming.of_previews(name)
        group = self._security_group(name, args)
        region = aws.get_region_output(opts=pulumi.InvokeOutputOptions(parent=self)).region
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        execution, _ = execution_role(
            f"{name}-previews",
            repository_arn=foundation.registry.arn,
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
                {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": foundation.key_arn},
            ],
        )
        task, _ = task_role(f"{name}-previews", statements=[], parent=self)
        self.facts = PreviewFacts(
            domain=args.domain or pulumi.Output.from_input(foundation.load_balancer.dns_name).apply(_without_port),
            url=args.url or foundation.load_balancer.url,
            listener_arn=args.listener_arn or foundation.load_balancer.listener_arn,
            limit=args.limit,
            security_group_id=group.id,
            execution_role_arn=execution.arn,
            task_role_arn=task.arn,
            cache_image=args.cache_image,
            database_task=self._database_task(f"{name}-previews-db", args) if args.database_image else "",
            template=args.template,
        )
        self.register_outputs({})

    def _security_group(self, name: str, args: PreviewGroundArgs) -> aws.ec2.SecurityGroup:
        foundation = args.foundation
        group = aws.ec2.SecurityGroup(
            f"{name}-previews",
            description="Previews: reached by the load balancer, reach the database and AWS over HTTPS",
            vpc_id=foundation.network.vpc_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        allow(
            f"{name}-previews-from-lb",
            source=foundation.load_balancer.security_group_id,
            target=group.id,
            port=args.port,
            why="Requests to previews and their health checks",
            parent=self,
        )
        allow_https_out(f"{name}-previews", source=group.id, parent=self)
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
        allow_stores(f"{name}-previews", "Previews", source=group.id, stores=foundation.stores(DATABASE), parent=self)
        return group

    def _database_task(self, name: str, args: PreviewGroundArgs) -> str:
        container = Container(
            name=DATABASE,
            image=args.database_image or "",
            environment={
                **(args.database or {}),
                "PGSSLMODE": "verify-full",
                "PGSSLROOTCERT": contract.DATABASE_CA_PATH,
                "SCRIPT": "preview.sql",
            },
            secrets=args.owner or {},
        )
        task = TaskArgs(
            [container],
            registry_arn=args.foundation.registry.arn,
            key_arn=args.foundation.key_arn,
            cpu=CPU,
            memory=MEMORY,
            architecture=args.architecture,
            log_retention_days=args.log_retention_days,
        )
        return Task(name, task, opts=pulumi.ResourceOptions(parent=self)).facts.family


def _without_port(host: str) -> str:
    return host.partition(":")[0]
