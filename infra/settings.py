"""A stack's configuration: typed, and checked as a whole before anything is touched.

Defaults live in Pulumi.yaml's config schema and differences in stacks/Pulumi.<stack>.yaml; this file says
what is allowed. A wrong value is a `SlipwayError` that names the key, the value and what would be right.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pulumi
import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from infra import contract
from infra.errors import SlipwayError
from infra.sizes import DATABASE_MEMORY_GIB, FARGATE_MEMORY, LOG_RETENTION_DAYS, fargate_memory, max_connections

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "slipway"
SECRETS_KEY = "appSecrets"

DOMAIN = r"^(([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63})?$"

PLACEHOLDER = "example.com"
"""Nobody's domain (RFC 2606): what a stack file says until it is given a real one."""


def _vpc_range(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise ValueError(f"{error}; write it like 10.20.0.0/16") from error
    if not 16 <= network.prefixlen <= 20:
        raise ValueError("a VPC here is a /16 to /20, so that its subnets have room")
    if not network.is_private:
        raise ValueError("a VPC uses a private range: 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    return value


def _retention(value: int) -> int:
    if value not in LOG_RETENTION_DAYS:
        raise ValueError(f"CloudWatch Logs takes one of {', '.join(map(str, LOG_RETENTION_DAYS))} days")
    return value


class Settings(BaseModel):
    """What one environment is made of."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    environment: Literal["local", "dev", "staging", "prod"]
    vpc_cidr: Annotated[str, AfterValidator(_vpc_range)]
    zones: Annotated[int, Field(ge=2, le=3)]
    nat_gateways: Literal["none", "one", "per-zone"]
    interface_endpoints: bool
    flow_logs: bool
    domain: Annotated[str, Field(pattern=DOMAIN, max_length=253)]
    hosted_zone_id: Annotated[str, Field(pattern=r"^([A-Z0-9]{1,32})?$")]
    waf: bool
    container_insights: bool
    waf_rate_limit: Annotated[int, Field(ge=100, le=2_000_000_000)]
    base_image: Annotated[str, Field(pattern=r"^[a-z0-9][\w./:@-]+$")]
    build_network: Literal["default", "host"]
    architecture: Literal["X86_64", "ARM64"]
    web_cpu: int
    web_memory: int
    web_tasks: Annotated[int, Field(ge=1, le=100)]
    web_max_tasks: Annotated[int, Field(ge=1, le=100)]
    worker_cpu: int
    worker_memory: int
    worker_tasks: Annotated[int, Field(ge=0, le=100)]
    worker_max_tasks: Annotated[int, Field(ge=0, le=100)]
    database_class: str
    database_version: Annotated[str, Field(pattern=r"^\d+$", coerce_numbers_to_str=True)]
    database_storage_gb: Annotated[int, Field(ge=20, le=65536)]
    database_multi_az: bool
    database_backup_days: Annotated[int, Field(ge=0, le=35)]
    database_final_snapshot: bool
    database_pool_size: Annotated[int, Field(ge=1, le=100)]
    database_ca: str
    cache_class: Annotated[str, Field(pattern=r"^cache\.[a-z0-9]+\.[a-z0-9]+$")]
    cache_version: Annotated[str, Field(pattern=r"^\d+\.\d+$", coerce_numbers_to_str=True)]
    cache_nodes: Annotated[int, Field(ge=1, le=6)]
    cache_ca: str
    cors_origins: list[str]
    secrets_generation: Annotated[int, Field(ge=1)]
    protect: bool
    log_retention_days: Annotated[int, AfterValidator(_retention)]
    cleanup_schedule: Annotated[str, Field(pattern=r"^(cron|rate)\(.+\)$")]
    alarm_email: Annotated[str, Field(pattern=r"^([^@\s]+@[^@\s]+\.[^@\s]+)?$")]
    monthly_budget_usd: Annotated[int, Field(ge=0)]
    github_repository: Annotated[str, Field(pattern=r"^([A-Za-z0-9][\w-]*(@\d+)?/[\w.-]+(@\d+)?)?$")]
    github_provider: bool
    state_bucket: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$")]

    @model_validator(mode="after")
    def _fargate_pairs(self) -> Self:
        _check_fargate("webCpu", self.web_cpu, "webMemory", self.web_memory)
        _check_fargate("workerCpu", self.worker_cpu, "workerMemory", self.worker_memory)
        return self

    @model_validator(mode="after")
    def _ranges_of_tasks(self) -> Self:
        for kind, least, most in (
            ("web", self.web_tasks, self.web_max_tasks),
            ("worker", self.worker_tasks, self.worker_max_tasks),
        ):
            if most < least:
                raise ValueError(f"{kind}MaxTasks is {most}: it must be at least {kind}Tasks, {least}")
        if self.worker_max_tasks > self.worker_tasks and not self.container_insights:
            raise ValueError(
                f"workerMaxTasks is {self.worker_max_tasks} with containerInsights false: scaling compares the queue "
                "with the number of running tasks, which Container Insights counts. Set it to true, or workerMaxTasks "
                f"to {self.worker_tasks}"
            )
        if self.worker_tasks == 0 < self.worker_max_tasks:
            raise ValueError(
                f"workerTasks is 0 with workerMaxTasks {self.worker_max_tasks}: scaling compares the queue with the "
                "tasks that run, so one has to; or set both to 0"
            )
        return self

    @model_validator(mode="after")
    def _name(self) -> Self:
        if bool(self.domain) != bool(self.hosted_zone_id):
            raise ValueError(
                "domain and hostedZoneId go together: the name, and the Route53 zone (Z...) that its records go into"
            )
        return self

    @model_validator(mode="after")
    def _way_out(self) -> Self:
        """The local AWS is no network of its own: tasks there reach the registry as this machine does."""
        if self.nat_gateways == "none" and not self.interface_endpoints and self.environment != "local":
            raise ValueError(
                "natGateways is none: tasks could neither pull their image nor read their secrets. "
                "Set interfaceEndpoints to true, or natGateways to one"
            )
        return self

    @model_validator(mode="after")
    def _connections(self) -> Self:
        """A database that is out of connections refuses the new revision in the middle of a rollout."""
        if self.database_class not in DATABASE_MEMORY_GIB:
            raise ValueError(
                f"databaseClass is {self.database_class}: known are {', '.join(sorted(DATABASE_MEMORY_GIB))}"
            )
        allowed = int(max_connections(self.database_class) * 0.8)
        workers = contract.web_concurrency(self.web_cpu)
        asked = contract.connections(
            web_tasks=self.web_max_tasks,
            worker_tasks=self.worker_max_tasks,
            workers=workers,
            pool_size=self.database_pool_size,
        )
        if asked > allowed:
            raise ValueError(
                f"databasePoolSize is {self.database_pool_size}: {self.web_max_tasks} web tasks x 2 (a rollout runs "
                f"both revisions) x {workers} workers x {self.database_pool_size}, {self.worker_max_tasks} worker "
                f"tasks x 2 x {self.database_pool_size} and 10 are {asked} connections; 80 % of what "
                f"{self.database_class} has is {allowed}. Take a smaller pool, fewer tasks or a larger class"
            )
        return self

    @model_validator(mode="after")
    def _production(self) -> Self:
        if self.environment != "prod":
            return self
        weak = {
            "databaseMultiAz": not self.database_multi_az,
            "databaseBackupDays": self.database_backup_days < 7,
            "databaseFinalSnapshot": not self.database_final_snapshot,
            "cacheNodes": self.cache_nodes < 2,
            "webTasks": self.web_tasks < 2,
            "natGateways": self.nat_gateways != "per-zone",
        }
        found = [key for key, wrong in weak.items() if wrong]
        if found:
            raise ValueError(f"{', '.join(found)}: production keeps its data and survives the loss of a zone")
        if not self.domain:
            raise ValueError("domain is empty: production speaks TLS only, and a certificate is for a domain")
        missing = {
            "waf": not self.waf,
            "containerInsights": not self.container_insights,
            "alarmEmail": not self.alarm_email,
        }
        exposed = [key for key, wrong in missing.items() if wrong]
        if exposed:
            raise ValueError(f"{', '.join(exposed)}: production has a firewall, and is watched by somebody who is told")
        return self

    def placeholders(self) -> list[str]:
        """The keys that still have the value of the repository's own stack files."""
        given = {"domain": self.domain, "alarmEmail": self.alarm_email}
        return [key for key, value in given.items() if f".{value.rpartition('@')[2]}".endswith(f".{PLACEHOLDER}")]

    def pem(self, key: str, path: str) -> str:
        """The text of a PEM file that a setting names; empty for no path."""
        if not path:
            return ""
        file = ROOT / path
        if not file.is_file():
            raise pulumi.RunError(
                f"{PROJECT}:{key} is {path!r}: there is no such file; for stack local `make up` makes it"
            )
        return file.read_text()

    @staticmethod
    def app_secrets() -> dict[str, pulumi.Output[str]]:
        """More secret variables of the app, each an output that stays secret."""
        text = pulumi.Config(PROJECT).get_secret(SECRETS_KEY)
        names = json.loads(pulumi.runtime.get_config(f"{PROJECT}:{SECRETS_KEY}") or "{}")
        if text is None:
            return {}

        def value(name: str) -> pulumi.Output[str]:
            return text.apply(lambda found: str(json.loads(found)[name]))

        return {name: value(name) for name in names}

    @classmethod
    def load(cls, values: Mapping[str, Any], source: str) -> Settings:
        """Check `values` (by key without the project's prefix) that came from `source`."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise SlipwayError(
                f"{source}: {len(error.errors())} wrong value(s), nothing was changed:\n"
                + "\n".join(f"  {_explain(dict(problem), values)}" for problem in error.errors()),
                "Correct the value in that file, or with: pulumi config set KEY VALUE",
            ) from None

    @classmethod
    def from_pulumi(cls) -> Settings:
        """The settings of the stack that the engine runs; Pulumi.yaml's defaults are already merged."""
        config = pulumi.Config(PROJECT)
        keys = [to_camel(name) for name in cls.model_fields]
        raw = {key: config.get(key) for key in keys}
        source = f"stacks/Pulumi.{pulumi.get_stack()}.yaml"
        try:
            settings = cls.load({key: _typed(value) for key, value in raw.items() if value is not None}, source)
        except SlipwayError as error:
            raise pulumi.RunError(str(error)) from None  # what the engine shows without a stack trace
        placeholders = settings.placeholders()
        if placeholders and not pulumi.runtime.is_dry_run():
            raise pulumi.RunError(
                f"{source}: {', '.join(placeholders)} still ends in {PLACEHOLDER}, which is nobody's. "
                f"Say your own: pulumi config set {placeholders[0]} VALUE"
            )
        if settings.environment == "prod" and not settings.protect:
            pulumi.log.warn("protect is false in production: `pulumi destroy` would not be refused")
        return settings

    @classmethod
    def from_files(cls, stack: str, root: Path = ROOT) -> Settings:
        """The settings as the stack's file and Pulumi.yaml's defaults give them, without the engine."""
        path = root / "stacks" / f"Pulumi.{stack}.yaml"
        if not path.exists():
            have = ", ".join(sorted(p.name[7:-5] for p in path.parent.glob("Pulumi.*.yaml")))
            raise SlipwayError(f"There is no stack file {path.relative_to(root)}.", f"Stacks here: {have}")
        schema = yaml.safe_load((root / "Pulumi.yaml").read_text())["config"]
        values = {k: v["default"] for k, v in schema.items() if isinstance(v, dict) and "default" in v}
        given = yaml.safe_load(path.read_text()).get("config") or {}
        prefix = f"{PROJECT}:"
        values |= {k.removeprefix(prefix): v for k, v in given.items() if k.startswith(prefix)}
        values.pop(SECRETS_KEY, None)  # the app's business, and not readable here
        return cls.load(values, str(path.relative_to(root)))


def _check_fargate(cpu_key: str, cpu: int, memory_key: str, memory: int) -> None:
    allowed = fargate_memory(cpu)
    if not allowed:
        cpus = ", ".join(map(str, FARGATE_MEMORY))
        raise ValueError(f"{cpu_key} is {cpu}: Fargate has {cpus} CPU units (1024 is one vCPU)")
    if memory not in allowed:
        sizes = ", ".join(map(str, allowed))
        raise ValueError(f"{memory_key} is {memory}: with {cpu_key} {cpu} Fargate allows {sizes} MiB")


def _typed(value: str) -> Any:
    """A config value as YAML would have it: the engine hands everything over as a string."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def _explain(problem: dict[str, Any], values: Mapping[str, Any]) -> str:
    reason = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return f"{PROJECT}:{reason}"
    key = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        return f"{PROJECT}:{key}: there is no such setting; Pulumi.yaml lists them all"
    if problem["type"] == "missing":
        return f"{PROJECT}:{key}: must be set"
    return f"{PROJECT}:{key} is {values.get(key)!r}: {reason}"
