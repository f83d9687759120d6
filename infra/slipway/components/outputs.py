"""Outputs that a service needs, as plain values: ids, ARNs, addresses and ports.

An environment creates and exports them, a preview reads them from its base environment, and an existing VPC supplies
its part. So no component knows which kind of stack it is in, or who created what it uses. No value is a secret: a
reader needs no key of the base environment. `outputs_schema` holds the version of the exported form.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self

import pulumi

OUTPUT_NAME = "foundation"
"""Name of the stack output that holds an environment's outputs."""
SCHEMA_VERSION = 1
"""Version of the exported form. Raise it when a key is renamed, removed or means something else, which an older reader
would misread. A new key with a default in its dataclass needs no new version."""
VERSION_KEY = "version"
LOCAL_FIELD = "ready"
"""Field of resources to wait for, which only the run that created them knows: it is neither exported nor read."""


@dataclass(frozen=True)
class ExportedOutputs:
    """A part of the outputs that an environment exports."""

    def to_output(self) -> dict[str, Any]:
        """Returns its exported fields by name."""
        return {name: getattr(self, name) for name in self.exported_fields()}

    @classmethod
    def from_output(cls, exported: Mapping[str, Any] | pulumi.Output[Any]) -> Self:
        """Returns it as another stack exported it; unknown keys are ignored.

        Raises:
            KeyError: A key is missing.
        """
        return cls(**{name: exported[name] for name in cls.exported_fields()})

    @classmethod
    def exported_fields(cls) -> list[str]:
        """Returns the names of the fields that are exported."""
        return [field.name for field in fields(cls) if field.name != LOCAL_FIELD]

    @classmethod
    def default_values(cls) -> dict[str, Any]:
        """Returns the exported fields that may be missing in an older environment, with their defaults."""
        return {
            field.name: field.default
            for field in fields(cls)
            if field.name != LOCAL_FIELD and field.default is not MISSING
        }


@dataclass(frozen=True)
class NetworkOutputs(ExportedOutputs):
    """A VPC with three tiers of subnets: public (load balancer), private (tasks) and isolated (data)."""

    vpc_id: pulumi.Input[str]
    public_subnet_ids: Sequence[pulumi.Input[str]]
    private_subnet_ids: Sequence[pulumi.Input[str]]
    isolated_subnet_ids: Sequence[pulumi.Input[str]]
    public_cidrs: Sequence[pulumi.Input[str]]
    """CIDR blocks of the public subnets: the load balancer's addresses, which a server trusts for X-Forwarded-For."""
    ready: Sequence[pulumi.Resource] = ()
    """Routes and endpoints: whatever talks to the internet, or pulls an image, depends on them."""
    has_public_tasks: pulumi.Input[bool] = False
    """Whether tasks run in the public subnets with an address of their own, for there is no NAT gateway."""

    @property
    def task_subnet_ids(self) -> pulumi.Input[Sequence[pulumi.Input[str]]]:
        """Return the subnets that tasks run in."""
        if isinstance(self.has_public_tasks, bool):
            return self.public_subnet_ids if self.has_public_tasks else self.private_subnet_ids
        places = pulumi.Output.all(self.has_public_tasks, self.public_subnet_ids, self.private_subnet_ids)
        return places.apply(lambda place: list(place[1] if place[0] else place[2]))


@dataclass(frozen=True)
class LoadBalancerOutputs(ExportedOutputs):
    """The public load balancer, whose listener services add their rules to."""

    listener_arn: pulumi.Input[str]
    security_group_id: pulumi.Input[str]
    arn_suffix: pulumi.Input[str]
    """Suffix of its ARN, by which CloudWatch and autoscaling name it."""
    dns_name: pulumi.Input[str]
    zone_id: pulumi.Input[str]
    url: pulumi.Input[str]


@dataclass(frozen=True)
class ClusterOutputs(ExportedOutputs):
    """The ECS cluster that tasks run in."""

    arn: pulumi.Input[str]
    name: pulumi.Input[str]
    counts_tasks: bool
    """Whether Container Insights counts running tasks."""
    exec_log_group_arn: pulumi.Input[str] = ""
    """Log group of ECS Exec's sessions; empty where it is off."""
    ready: Sequence[pulumi.Resource] = ()
    """Capacity providers: a service depends on them."""

    def service_arn_prefix(self) -> pulumi.Output[str]:
        """Returns the prefix of its services' ARNs."""
        return pulumi.Output.from_input(self.arn).apply(lambda arn: arn.replace(":cluster/", ":service/"))

    def sibling_arn(self, name: str) -> pulumi.Output[str]:
        """Returns the ARN of another cluster of the same account and region."""
        return pulumi.Output.from_input(self.arn).apply(lambda arn: f"{arn.rpartition('/')[0]}/{name}")

    def task_arn_prefix(self) -> pulumi.Output[str]:
        """Returns the prefix of its tasks' ARNs."""
        return pulumi.Output.from_input(self.arn).apply(lambda arn: arn.replace(":cluster/", ":task/"))

    def service_revision_arn_prefix(self) -> pulumi.Output[str]:
        """Returns the prefix of its service revisions' ARNs."""
        return pulumi.Output.from_input(self.arn).apply(lambda arn: arn.replace(":cluster/", ":service-revision/"))

    def container_instance_arn_prefix(self) -> pulumi.Output[str]:
        """Returns the resource of ecs:ListTasks, though Fargate has no container instances."""
        return pulumi.Output.from_input(self.arn).apply(lambda arn: arn.replace(":cluster/", ":container-instance/"))

    def service_deployment_arn_prefix(self) -> pulumi.Output[str]:
        """Returns the prefix of its service deployments' ARNs."""
        return pulumi.Output.from_input(self.arn).apply(lambda arn: arn.replace(":cluster/", ":service-deployment/"))


@dataclass(frozen=True)
class RepositoryOutputs(ExportedOutputs):
    """The ECR repository."""

    url: pulumi.Input[str]
    arn: pulumi.Input[str]


@dataclass(frozen=True)
class DataStoreOutputs(ExportedOutputs):
    """A database or a cache: its address, its port and its security group."""

    label: str
    """`database` or `cache`, for the descriptions of security group rules."""
    security_group_id: pulumi.Input[str]
    port: int
    """Port in security group rules."""
    host: pulumi.Input[str]
    endpoint_port: pulumi.Input[int]
    """Port that clients connect to; the local AWS has another than `port`."""


@dataclass(frozen=True)
class TaskPlacement:
    """Network and cluster of tasks, and the stores that they may reach."""

    network: NetworkOutputs
    cluster: ClusterOutputs
    stores: Sequence[DataStoreOutputs] = ()


@dataclass(frozen=True)
class SecretReference:
    """A value in Secrets Manager that ECS hands to a container when it starts."""

    arn: pulumi.Input[str]
    """ARN of the secret, which the task's execution role must be able to read."""
    value_from: pulumi.Input[str]
    """ARN, JSON key and version of the secret, as ECS's `valueFrom`."""


@dataclass(frozen=True)
class RoleOutputs:
    """An IAM role."""

    name: pulumi.Input[str]
    """An IAM role, to attach policies."""
    arn: pulumi.Input[str]


@dataclass(frozen=True)
class TaskDefinitionOutputs:
    """A task definition, its log group and its roles."""

    arn: pulumi.Input[str]
    family: str
    family_arn: pulumi.Input[str]
    """ARN without the revision."""
    log_group_name: pulumi.Input[str]
    log_group_arn: pulumi.Input[str]
    execution_role: RoleOutputs
    """Role of ECS itself: pulls the image, writes the log, reads the secrets."""
    task_role: RoleOutputs
    """Role of the code in the containers."""
    has_exec: bool = False
    """Whether ECS Exec may reach its containers."""
    ready: Sequence[pulumi.Resource] = ()
    """Roles with their policies, and the definition: a service depends on them until its last task has drained."""

    @property
    def pass_role_arns(self) -> list[pulumi.Input[str]]:
        """ARNs of the roles that need iam:PassRole to register or run this task."""
        return [self.execution_role.arn, self.task_role.arn]


@dataclass(frozen=True)
class PreviewSharedOutputs(ExportedOutputs):
    """Resources that all previews of an environment share, because AWS creates them slowly."""

    domain: pulumi.Input[str]
    """A preview's host is its stack's name, a dot and this."""
    url: pulumi.Input[str]
    """URL of the listener that previews are behind; their URLs have its scheme and port."""
    listener_arn: pulumi.Input[str]
    """Listener that previews add their rules to."""
    limit: int
    """Maximum number of previews."""
    security_group_id: pulumi.Input[str]
    execution_role_arn: pulumi.Input[str]
    task_role_arn: pulumi.Input[str]
    cache_image: pulumi.Input[str]
    """Redis image for a sidecar; empty for an app that needs no cache."""
    database_task: str
    """Family of the task that creates and drops preview databases; empty for an app that needs no database."""
    template: str = ""
    """Database that a preview's begins as a copy of; empty: it begins empty."""


@dataclass(frozen=True)
class EnvironmentOutputs:
    """Everything that an environment gives to its services and previews. A store that the app does not need is None."""

    network: NetworkOutputs
    load_balancer: LoadBalancerOutputs
    cluster: ClusterOutputs
    registry: RepositoryOutputs
    key_arn: pulumi.Input[str]
    database: DataStoreOutputs | None = None
    cache: DataStoreOutputs | None = None
    previews: PreviewSharedOutputs | None = None
    """None: the environment has no previews."""

    def stores(self, *labels: str) -> list[DataStoreOutputs]:
        """Returns those of the stores `labels` that the environment has."""
        return [store for store in (self.database, self.cache) if store and store.label in labels]

    def to_output(self) -> dict[str, Any]:
        """Returns an environment's exported outputs with their schema version."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        exported = {
            name: part.to_output() if isinstance(part, ExportedOutputs) else part
            for name, part in parts.items()
            if part
        }
        return {VERSION_KEY: SCHEMA_VERSION, **exported}

    @classmethod
    def from_output(cls, exported: Any, parts: Collection[str] | None = None) -> EnvironmentOutputs:
        """Returns another stack's exported outputs, checked by `outputs_schema.read_exported_outputs`.

        `exported` may be an output, each of whose values is then an output too. `parts` names the optional ones to
        read, for an output cannot be asked which it has; None: all that a mapping has.

        Raises:
            KeyError: A key is missing.
        """
        present = exported if parts is None else parts
        return cls(
            network=NetworkOutputs.from_output(exported["network"]),
            load_balancer=LoadBalancerOutputs.from_output(exported["load_balancer"]),
            cluster=ClusterOutputs.from_output(exported["cluster"]),
            registry=RepositoryOutputs.from_output(exported["registry"]),
            key_arn=exported["key_arn"],
            database=DataStoreOutputs.from_output(exported["database"]) if "database" in present else None,
            cache=DataStoreOutputs.from_output(exported["cache"]) if "cache" in present else None,
            previews=PreviewSharedOutputs.from_output(exported["previews"]) if "previews" in present else None,
        )
