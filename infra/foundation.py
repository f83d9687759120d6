"""What a service stands on, as plain facts: ids, ARNs, addresses and ports.

An environment makes them and exports them, a preview reads them from its base, and a VPC that is there already gives
its part. So no component knows which kind of stack it is in, or who made what it uses. There is no secret in them:
whoever reads them needs no key of the base.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import pulumi

OUTPUT = "foundation"
"""The stack output that holds it."""


@dataclass(frozen=True)
class _Facts:
    def plain(self) -> dict[str, Any]:
        """The facts without what only this program's run knows: resources to wait for."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "ready"}

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """From another stack's output; an entry that is missing is a `KeyError` with its name."""
        return cls(**{field.name: given[field.name] for field in fields(cls) if field.name != "ready"})


@dataclass(frozen=True)
class NetworkFacts(_Facts):
    """A VPC with three rings of subnets: for the load balancer, for tasks, for data."""

    vpc_id: pulumi.Input[str]
    public_subnet_ids: Sequence[pulumi.Input[str]]
    private_subnet_ids: Sequence[pulumi.Input[str]]
    isolated_subnet_ids: Sequence[pulumi.Input[str]]
    public_cidrs: Sequence[pulumi.Input[str]]
    """The load balancer's addresses come from these: what a server trusts for X-Forwarded-For."""
    ready: Sequence[pulumi.Resource] = ()
    """The ways out: what talks to the internet, or pulls an image, waits for them."""


@dataclass(frozen=True)
class LoadBalancerFacts(_Facts):
    """The public door that services add their rules to."""

    listener_arn: pulumi.Input[str]
    security_group_id: pulumi.Input[str]
    arn_suffix: pulumi.Input[str]
    """As CloudWatch and autoscaling name it."""
    dns_name: pulumi.Input[str]
    zone_id: pulumi.Input[str]
    url: pulumi.Input[str]


@dataclass(frozen=True)
class ClusterFacts(_Facts):
    """Where tasks are placed."""

    arn: pulumi.Input[str]
    name: pulumi.Input[str]
    counts_tasks: bool
    """Whether there are metrics of how many run."""
    ready: Sequence[pulumi.Resource] = ()
    """What has to be there before a service asks for capacity."""

    def task_arns(self) -> pulumi.Output[str]:
        """What the ARNs of its tasks begin with."""
        return pulumi.Output.from_input(self.arn).apply(lambda arn: arn.replace(":cluster/", ":task/"))

    def revision_arns(self) -> pulumi.Output[str]:
        """What the ARNs of its services' revisions begin with."""
        return pulumi.Output.from_input(self.arn).apply(lambda arn: arn.replace(":cluster/", ":service-revision/"))

    def instance_arns(self) -> pulumi.Output[str]:
        """What listing its tasks is allowed on, though Fargate has no instances."""
        return pulumi.Output.from_input(self.arn).apply(lambda arn: arn.replace(":cluster/", ":container-instance/"))

    def deployment_arns(self) -> pulumi.Output[str]:
        """What the ARNs of its services' deployments begin with."""
        return pulumi.Output.from_input(self.arn).apply(lambda arn: arn.replace(":cluster/", ":service-deployment/"))


@dataclass(frozen=True)
class RegistryFacts(_Facts):
    """The repository that images are pushed to and pulled from."""

    url: pulumi.Input[str]
    arn: pulumi.Input[str]


@dataclass(frozen=True)
class StoreFacts(_Facts):
    """A database or a cache: where it is, and what has to be let through to it."""

    label: str
    """`database` or `cache`: for the descriptions of rules."""
    security_group_id: pulumi.Input[str]
    port: int
    """What security groups allow."""
    host: pulumi.Input[str]
    endpoint_port: pulumi.Input[int]
    """Where it really answers; the local AWS has a port of its own."""


@dataclass(frozen=True)
class Place:
    """Where tasks run, and the stores that they may reach."""

    network: NetworkFacts
    cluster: ClusterFacts
    stores: Sequence[StoreFacts] = ()


@dataclass(frozen=True)
class SecretValue:
    """A value in Secrets Manager that a container gets when it starts."""

    arn: pulumi.Input[str]
    """The secret, which the task's execution role must be able to read."""
    reference: pulumi.Input[str]
    """The secret, its JSON key and its version, as ECS's `valueFrom` has it."""


@dataclass(frozen=True)
class TaskFacts:
    """A task definition as whoever runs or registers it has to know it."""

    arn: pulumi.Input[str]
    family: str
    family_arn: pulumi.Input[str]
    """The ARN without the revision."""
    log_group_name: pulumi.Input[str]
    log_group_arn: pulumi.Input[str]
    role_arns: Sequence[pulumi.Input[str]]
    """What has to be passed on."""
    ready: Sequence[pulumi.Resource] = ()
    """The roles and what they may do: what uses the task depends on them, from its start until it has drained."""


@dataclass(frozen=True)
class PreviewFacts(_Facts):
    """What all previews of an environment share: made once, so that a preview makes nothing that is slow."""

    domain: pulumi.Input[str]
    """What follows a preview's name and a dot in its host."""
    url: pulumi.Input[str]
    """Of the door that they are behind: its scheme and its port are theirs too."""
    listener_arn: pulumi.Input[str]
    """Where their rules go."""
    limit: int
    """How many there may be."""
    security_group_id: pulumi.Input[str]
    execution_role_arn: pulumi.Input[str]
    task_role_arn: pulumi.Input[str]
    cache_image: pulumi.Input[str]
    """A Redis to run beside the app; empty for an app that needs none."""
    database_task: str
    """The family of the task that makes and drops their databases; empty for an app that needs none."""
    template: str = ""
    """The database that theirs are copies of; empty: they begin empty."""


@dataclass(frozen=True)
class Foundation:
    """All of it. A store that the app does not need is None."""

    network: NetworkFacts
    load_balancer: LoadBalancerFacts
    cluster: ClusterFacts
    registry: RegistryFacts
    key_arn: pulumi.Input[str]
    database: StoreFacts | None = None
    cache: StoreFacts | None = None
    previews: PreviewFacts | None = None
    """None: the environment bears no previews."""

    def stores(self, *labels: str) -> list[StoreFacts]:
        """The stores of these names that are there."""
        return [store for store in (self.database, self.cache) if store and store.label in labels]

    def plain(self) -> dict[str, Any]:
        """What an environment exports."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: part.plain() if isinstance(part, _Facts) else part for name, part in parts.items() if part}

    @classmethod
    def of(cls, given: Any, parts: Collection[str] | None = None) -> Foundation:
        """What another stack exported. Raises `KeyError` with the name of what is missing.

        `parts`: of those that not every foundation has, the ones to read; None: all that are there. An output cannot be
        asked for what it has, and every fact of it is an output in turn.
        """
        has = given if parts is None else parts
        return cls(
            network=NetworkFacts.of(given["network"]),
            load_balancer=LoadBalancerFacts.of(given["load_balancer"]),
            cluster=ClusterFacts.of(given["cluster"]),
            registry=RegistryFacts.of(given["registry"]),
            key_arn=given["key_arn"],
            database=StoreFacts.of(given["database"]) if "database" in has else None,
            cache=StoreFacts.of(given["cache"]) if "cache" in has else None,
            previews=PreviewFacts.of(given["previews"]) if "previews" in has else None,
        )
