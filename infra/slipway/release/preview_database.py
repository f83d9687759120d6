"""Creates and drops a preview's database with a task of its environment, the only one with the owner's password."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from slipway.config import constants, names
from slipway.release.aws_session import AwsSession, open_stack_aws_session
from slipway.release.logs import read_last_lines
from slipway.release.pre_deploy_hooks import run_on_change
from slipway.release.progress import ProgressReporter, create_progress_reporter
from slipway.release.standalone_task import StandaloneTask, run_concurrent_task

DATABASE_CONTAINER = "database"
"""The container of that task; it runs docker/database."""
LIST_LINE_PREFIX = "database "
"""Prefix of its log lines that name a database."""


@dataclass(frozen=True)
class PreviewDatabaseServer:
    """The environment's database server, and the task that manages databases of previews."""

    cluster: str
    """ARN."""
    family: str
    """Family of the task definition."""
    subnets: Sequence[str]
    security_group: str
    assign_public_ip: bool = False

    @classmethod
    def of(cls, environment_outputs: Mapping[str, Any]) -> PreviewDatabaseServer | None:
        """Reads an environment's output `foundation`; None if its app needs no database."""
        previews = environment_outputs["previews"]
        if not previews["database_task"]:
            return None
        # An environment that was deployed before the setting publicTasks does not have the key.
        is_public = bool(environment_outputs["network"].get("has_public_tasks"))
        return cls(
            environment_outputs["cluster"]["arn"],
            previews["database_task"],
            environment_outputs["network"]["public_subnet_ids" if is_public else "private_subnet_ids"],
            previews["security_group_id"],
            is_public,
        )


def preview_database_name(stack: str) -> str:
    """Returns the name of a preview's database and of its role."""
    return f"preview_{names.postgres_identifier(stack)}"


def create_database(
    aws: AwsSession, server: PreviewDatabaseServer, stack: str, verifier: str, template: str, say: ProgressReporter
) -> None:
    """Creates a preview's role and database, a copy of `template` or empty; a database that exists keeps its data."""
    variables = {
        "NAME": preview_database_name(stack),
        "VERIFIER": verifier,
        "CONNECTIONS": str(constants.CONNECTIONS_PER_PREVIEW),
    }
    _run_database_task(aws, server, {"ACTION": "make", **variables, "TEMPLATE": template}, say)


def drop_database(aws: AwsSession, server: PreviewDatabaseServer, name: str, say: ProgressReporter) -> None:
    """Drops the database `name` and its role, and closes its connections. Succeeds if there is none."""
    _run_database_task(aws, server, {"ACTION": "drop", "NAME": name}, say)


def list_databases(aws: AwsSession, server: PreviewDatabaseServer, say: ProgressReporter) -> list[str]:
    """Returns the names of all previews' databases."""
    task = _run_database_task(aws, server, {"ACTION": "list"}, say)
    lines = read_last_lines(aws, task, DATABASE_CONTAINER, limit=1000)
    return [line.removeprefix(LIST_LINE_PREFIX).strip() for line in lines if line.startswith(LIST_LINE_PREFIX)]


def _run_database_task(
    aws: AwsSession, server: PreviewDatabaseServer, variables: Mapping[str, str], say: ProgressReporter
) -> Any:
    network = {
        "subnets": server.subnets,
        "securityGroups": [server.security_group],
        "assignPublicIp": server.assign_public_ip,
    }
    task = StandaloneTask(
        server.cluster,
        server.family,
        network,
        environment={DATABASE_CONTAINER: variables},
        subject=f"Database: {variables['ACTION']} {variables.get('NAME', '')}".rstrip(),
        fix="The task belongs to the environment: check its database server, then run the same command again.",
    )
    return run_concurrent_task(aws, task, say)


def create_database_on_secret_change(
    name: str,
    stack: str,
    *,
    cluster_arn: pulumi.Input[str],
    family: pulumi.Input[str],
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]],
    security_group_id: pulumi.Input[str],
    assign_public_ip: pulumi.Input[bool],
    verifier: pulumi.Input[str],
    template: pulumi.Input[str],
    secret: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> pulumi.Resource:
    """Returns a resource that creates the preview's database when the `secret` with its password has changed.

    If that fails, the update stops before any code of the preview runs.
    """
    aws = open_stack_aws_session()
    inputs = pulumi.Output.all(cluster_arn, family, subnet_ids, security_group_id, verifier, template, assign_public_ip)

    async def work() -> None:
        resolved = await inputs.future() or ["", "", [], "", "", "", False]
        cluster, task, subnets, group, scram, source, is_public = resolved
        server = PreviewDatabaseServer(cluster, task, subnets, group, is_public)
        say = create_progress_reporter()
        await asyncio.to_thread(lambda: create_database(aws.of(cluster), server, stack, scram, source, say))

    return run_on_change(f"{name}-database", work, secret, opts)
