"""The database of a preview: made and dropped by a task of its environment, which alone knows the owner's password."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from infra import contract, naming
from infra.release.client import Aws, session
from infra.release.gate import done_once
from infra.release.logs import last_lines
from infra.release.migrate import Migration, run_beside_others
from infra.release.speaker import Say, speaker

CONTAINER = "database"
"""Of the task, which runs docker/database."""
LISTED = "database "
"""What a line of its log begins with that names one."""


@dataclass(frozen=True)
class Server:
    """The environment's database server, as far as previews get to it."""

    cluster: str
    """ARN."""
    family: str
    """Of the task that works on it."""
    subnets: Sequence[str]
    security_group: str

    @classmethod
    def of(cls, foundation: Mapping[str, Any]) -> Server | None:
        """As an environment's output `foundation` has it; None where its app needs no database."""
        previews = foundation["previews"]
        if not previews["database_task"]:
            return None
        return cls(
            foundation["cluster"]["arn"],
            previews["database_task"],
            foundation["network"]["private_subnet_ids"],
            previews["security_group_id"],
        )


def database_name(stack: str) -> str:
    """What a preview's database is called, and its role."""
    return f"preview_{naming.identifier(stack)}"


def make(aws: Aws, server: Server, stack: str, verifier: str, template: str, say: Say) -> None:
    """Make a preview's database, as a copy of `template` or empty, and its role; what is there stays, with it."""
    given = {"NAME": database_name(stack), "VERIFIER": verifier, "CONNECTIONS": str(contract.PREVIEW_CONNECTIONS)}
    _run(aws, server, {"ACTION": "make", **given, "TEMPLATE": template}, say)


def drop(aws: Aws, server: Server, name: str, say: Say) -> None:
    """Drop the database `name` and its role, whoever is connected; none is fine."""
    _run(aws, server, {"ACTION": "drop", "NAME": name}, say)


def listed(aws: Aws, server: Server, say: Say) -> list[str]:
    """The names of all previews' databases."""
    task = _run(aws, server, {"ACTION": "list"}, say)
    lines = last_lines(aws, task, CONTAINER, limit=1000)
    return [line.removeprefix(LISTED).strip() for line in lines if line.startswith(LISTED)]


def _run(aws: Aws, server: Server, given: Mapping[str, str], say: Say) -> Any:
    network = {"subnets": server.subnets, "securityGroups": [server.security_group]}
    migration = Migration(
        server.cluster,
        server.family,
        network,
        environment={CONTAINER: given},
        called=f"Database: {given['ACTION']} {given.get('NAME', '')}".rstrip(),
        mend="The task is the environment's own: look at its database, then run the same command again.",
    )
    return run_beside_others(aws, migration, say)


def made(
    name: str,
    stack: str,
    *,
    cluster_arn: pulumi.Input[str],
    family: pulumi.Input[str],
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]],
    security_group_id: pulumi.Input[str],
    verifier: pulumi.Input[str],
    template: pulumi.Input[str],
    secret: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> pulumi.Resource:
    """The preview's database, made when the `secret` that its password is in is another one than it was made with.

    When that fails the update stops before any code of the preview runs.
    """
    aws = session()
    found = pulumi.Output.all(cluster_arn, family, subnet_ids, security_group_id, verifier, template)

    async def work() -> None:
        cluster, task, subnets, group, scram, copied = await found.future() or ["", "", [], "", "", ""]
        server, say = Server(cluster, task, subnets, group), speaker()
        await asyncio.to_thread(lambda: make(aws.of(cluster), server, stack, scram, copied, say))

    return done_once(f"{name}-database", work, secret, opts)
