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
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from infra import contract, naming
from infra.errors import SlipwayError, explained
from infra.sizes import DATABASE_MEMORY_GIB, LOG_RETENTION_DAYS

ROOT = Path(__file__).resolve().parents[1]
SECRETS_KEY = "secrets"

NAME = r"^([a-z][a-z0-9-]*)?$"
"""Of a stack, which its GitHub environment is called after too; empty for none."""
DOMAIN = r"^(([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63})?$"

DIGEST = r"^(sha256:[0-9a-f]{64})?$"
"""Of an image; empty for none."""

SNAPSHOT = r"^([A-Za-z][\w:-]*)?$"
"""Of a database, by its name or ARN: RDS's own begin with `rds:`."""

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


Text = Annotated[str, BeforeValidator(lambda value: str(value).lower() if isinstance(value, bool) else str(value))]


class ProcessSizes(BaseModel):
    """What a stack's file may change of a process in stacks/app.yaml; what it leaves out stays."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    cpu: int | None = None
    memory: int | None = None
    tasks: int | None = None
    max_tasks: int | None = None
    schedule: str | None = None
    spot: bool | dict[str, int] | None = None


class ExistingVpc(BaseModel):
    """A network that is there already; the stack then makes none."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^vpc-[0-9a-f]+$")]
    public_subnets: Annotated[list[str], Field(min_length=2)]
    """For the load balancer, in two zones at least."""
    private_subnets: Annotated[list[str], Field(min_length=2)]
    """For tasks: with a way to AWS's services, by a NAT gateway or by endpoints."""
    isolated_subnets: Annotated[list[str], Field(min_length=2)]
    """For data stores; they need no way out."""


class Settings(BaseModel):
    """What one stack is made of."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    kind: Literal["environment", "preview"]
    tier: Literal["dev", "staging", "prod"]
    base: str = ""
    expires_at: str = ""
    rule_priority: Annotated[int, Field(ge=0, lt=contract.NO_PREVIEW_PRIORITY)] = 0
    previews: bool
    preview_domain: Annotated[str, Field(pattern=DOMAIN, max_length=62)]
    """Two less than a certificate's name may have: `*.` goes before it."""
    preview_data: Literal["empty", "template"]
    preview_database_port: Annotated[int, Field(ge=0, le=65535)]
    preview_limit: Annotated[int, Field(ge=1, le=90)]
    processes: dict[str, ProcessSizes]
    environment: dict[str, Text]
    existing_vpc: Annotated[ExistingVpc | None, BeforeValidator(lambda given: given or None)] = None
    vpc_cidr: Annotated[str, AfterValidator(_vpc_range)]
    zones: Annotated[int, Field(ge=2, le=3)]
    nat_gateways: Literal["none", "one", "per-zone"]
    interface_endpoints: bool
    flow_logs: bool
    domain: Annotated[str, Field(pattern=DOMAIN, max_length=253)]
    hosted_zone_id: Annotated[str, Field(pattern=r"^([A-Z0-9]{1,32})?$")]
    waf: bool
    container_insights: bool
    waf_count_only: list[
        Literal[
            "rate",
            "AWSManagedRulesAmazonIpReputationList",
            "AWSManagedRulesCommonRuleSet",
            "AWSManagedRulesKnownBadInputsRuleSet",
            "AWSManagedRulesSQLiRuleSet",
        ]
    ]
    waf_rate_limit: Annotated[int, Field(ge=100, le=2_000_000_000)]
    base_image: Annotated[str, Field(pattern=r"^[a-z0-9][\w./:@-]+$")]
    pin_images: bool
    build_network: Literal["default", "host"]
    architecture: Literal["X86_64", "ARM64"]
    database_class: str
    database_version: Annotated[str, Field(pattern=r"^\d+$", coerce_numbers_to_str=True)]
    database_major_upgrade: bool
    database_storage_gb: Annotated[int, Field(ge=20, le=65536)]
    database_multi_az: bool
    database_backup_days: Annotated[int, Field(ge=0, le=35)]
    database_final_snapshot: bool
    database_restore_from: Annotated[str, Field(pattern=SNAPSHOT)]
    backup_copy_region: Annotated[str, Field(pattern=r"^([a-z]{2}(-[a-z]+)+-\d)?$")]
    backup_copy_days: Annotated[int, Field(ge=1, le=36500)]
    database_pool_size: Annotated[int, Field(ge=1, le=100)]
    database_ca: str
    cache_class: Annotated[str, Field(pattern=r"^cache\.[a-z0-9]+\.[a-z0-9]+$")]
    cache_version: Annotated[str, Field(pattern=r"^\d+\.\d+$", coerce_numbers_to_str=True)]
    cache_nodes: Annotated[int, Field(ge=1, le=6)]
    cache_ca: str
    bucket_expire_days: Annotated[int, Field(ge=0, le=36500)]
    image_digest: Annotated[str, Field(pattern=DIGEST)]
    rollback_to: Annotated[str, Field(pattern=DIGEST)]
    deploy_profile: Literal["fast", "safe", "streaming", "quick"]
    release_timeout_minutes: Annotated[int, Field(ge=1, le=720)]
    secrets_generation: Annotated[int, Field(ge=1)]
    secrets_retired: Annotated[int, Field(ge=0)]
    protect: bool
    log_retention_days: Annotated[int, AfterValidator(_retention)]
    alarm_email: Annotated[str, Field(pattern=r"^([^@\s]+@[^@\s]+\.[^@\s]+)?$")]
    monitoring: bool
    tracing: bool
    grafana: bool
    managed_prometheus: bool
    metrics_retention_days: Annotated[int, Field(ge=1, le=90)]
    monthly_budget_usd: Annotated[int, Field(ge=0)]
    github_repository: Annotated[str, Field(pattern=r"^([A-Za-z0-9][\w-]*(@\d+)?/[\w.-]+(@\d+)?)?$")]
    github_provider: bool
    promotes_to: Annotated[str, Field(pattern=NAME)]
    promotes_from: Annotated[str, Field(pattern=NAME)]
    state_bucket: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$")]
    state_key: Annotated[str, Field(pattern=r"^(arn:aws:kms:[a-z0-9-]+:\d{12}:key/[\w-]+)?$")]

    @model_validator(mode="after")
    def _name(self) -> Self:
        if bool(self.domain or self.preview_domain) != bool(self.hosted_zone_id):
            raise ValueError(
                "domain and hostedZoneId go together, and so do previewDomain and hostedZoneId: the name, and the "
                "Route53 zone (Z...) that its records go into"
            )
        return self

    @model_validator(mode="after")
    def _names_of_previews(self) -> Self:
        if not self.preview_domain:
            return self
        if not self.previews and self.kind == "environment":
            raise ValueError("previewDomain is set and previews is false: nothing would answer there")
        names = (f".{self.domain}", f".{self.preview_domain}")
        if self.domain and (names[0].endswith(names[1]) or names[1].endswith(names[0])):
            raise ValueError(
                f"previewDomain is {self.preview_domain} and domain is {self.domain}: one is the other or below it, so "
                "a preview could get cookies of the environment, or set them. Take a name beside it: domain "
                "dev.example.com, previewDomain preview.example.com"
            )
        return self

    @model_validator(mode="after")
    def _watched(self) -> Self:
        if self.managed_prometheus and not self.monitoring:
            raise ValueError(
                "managedPrometheus is true and monitoring is not: nobody would write to it. Set monitoring to true"
            )
        return self

    @model_validator(mode="after")
    def _looked_at(self) -> Self:
        if self.grafana and not (self.monitoring and self.domain):
            lacking = "monitoring is not: it would have nothing to show" if not self.monitoring else ""
            raise ValueError(f"grafana is true and {lacking or 'domain is empty: its login is served over TLS alone'}")
        return self

    @model_validator(mode="after")
    def _secrets(self) -> Self:
        if self.secrets_retired >= self.secrets_generation:
            raise ValueError(
                f"secretsRetired is {self.secrets_retired}: it must be below secretsGeneration, which is "
                f"{self.secrets_generation} and in use. Raise that first, and deploy it"
            )
        return self

    @model_validator(mode="after")
    def _way_out(self) -> Self:
        if self.nat_gateways == "none" and not self.interface_endpoints and not self.existing_vpc:
            raise ValueError(
                "natGateways is none: tasks could neither pull their image nor read their secrets. "
                "Set interfaceEndpoints to true, or natGateways to one"
            )
        return self

    @model_validator(mode="after")
    def _database(self) -> Self:
        if self.database_class not in DATABASE_MEMORY_GIB:
            raise ValueError(
                f"databaseClass is {self.database_class}: known are {', '.join(sorted(DATABASE_MEMORY_GIB))}"
            )
        return self

    @model_validator(mode="after")
    def _production(self) -> Self:
        if self.tier != "prod":
            return self
        if self.nat_gateways != "per-zone" and not self.existing_vpc:
            raise ValueError("natGateways: production survives the loss of a zone, so it has one in each: per-zone")
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

    def weak_stores(self, stores: set[str]) -> list[str]:
        """The keys of those stores that would lose data, or not survive a zone: what production may not have."""
        weak = {
            "databaseMultiAz": "database" in stores and not self.database_multi_az,
            "databaseBackupDays": "database" in stores and self.database_backup_days < 7,
            "databaseFinalSnapshot": "database" in stores and not self.database_final_snapshot,
            "cacheNodes": "cache" in stores and self.cache_nodes < 2,
        }
        return [key for key, wrong in weak.items() if wrong]

    @property
    def former_secrets(self) -> bool:
        """Whether there is a generation before this one that still opens something."""
        return self.secrets_retired < self.secrets_generation - 1

    @property
    def pinned(self) -> str:
        """The digest of the image that is deployed instead of what the sources would build; empty for none."""
        return self.rollback_to or self.image_digest

    def placeholders(self) -> list[str]:
        """The keys that still have the value of the repository's own stack files."""
        given = {"domain": self.domain, "previewDomain": self.preview_domain, "alarmEmail": self.alarm_email}
        return [key for key, value in given.items() if f".{value.rpartition('@')[2]}".endswith(f".{PLACEHOLDER}")]

    def pem(self, key: str, path: str) -> str:
        """The text of a PEM file that a setting names; empty for no path."""
        if not path:
            return ""
        file = ROOT / path
        if not file.is_file():
            raise pulumi.RunError(f"{key} is {path!r}: there is no such file; for stack local `make up` makes it")
        return file.read_text()

    @staticmethod
    def configured_secrets() -> dict[str, pulumi.Output[str]]:
        """The app's secret variables that somebody has set, each an output that stays secret."""
        config = pulumi.Config()
        text = config.get_secret(SECRETS_KEY)
        names = json.loads(pulumi.runtime.get_config(f"{config.name}:{SECRETS_KEY}") or "{}")
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
            raise explained(error, source) from None

    @classmethod
    def from_pulumi(cls) -> Settings:
        """The settings of the stack that the engine runs; Pulumi.yaml's defaults are already merged."""
        config = pulumi.Config()
        keys = [to_camel(name) for name in cls.model_fields]
        raw = {key: config.get(key) for key in keys}
        stack = pulumi.get_stack()
        source = f"stacks/Pulumi.{stack}.yaml"
        try:
            check_names(pulumi.get_project(), stack)
            settings = cls.load({key: _typed(value) for key, value in raw.items() if value is not None}, source)
        except SlipwayError as error:
            raise pulumi.RunError(str(error)) from None  # what the engine shows without a stack trace
        placeholders = settings.placeholders()
        if placeholders and not pulumi.runtime.is_dry_run():
            raise pulumi.RunError(
                f"{source}: {', '.join(placeholders)} still ends in {PLACEHOLDER}, which is nobody's. "
                f"Say your own: pulumi config set {placeholders[0]} VALUE"
            )
        if settings.tier == "prod" and not settings.protect:
            pulumi.log.warn("protect is false in production: `pulumi destroy` would not be refused")
        return settings

    @classmethod
    def from_files(cls, stack: str, root: Path = ROOT) -> Settings:
        """The settings as the stack's file and Pulumi.yaml's defaults give them, without the engine."""
        path = root / "stacks" / f"Pulumi.{stack}.yaml"
        if not path.exists():
            have = ", ".join(sorted(p.name[7:-5] for p in path.parent.glob("Pulumi.*.yaml")))
            raise SlipwayError(f"There is no stack file {path.relative_to(root)}.", f"Stacks here: {have}")
        project = yaml.safe_load((root / "Pulumi.yaml").read_text())
        check_names(project["name"], stack)
        values = {k: v["default"] for k, v in project["config"].items() if isinstance(v, dict) and "default" in v}
        given = yaml.safe_load(path.read_text()).get("config") or {}
        prefix = f"{project['name']}:"
        values |= {k.removeprefix(prefix): v for k, v in given.items() if ":" not in k or k.startswith(prefix)}
        values.pop(SECRETS_KEY, None)  # the app's business, and not readable here
        return cls.load(values, str(path.relative_to(root)))


def check_names(project: str, stack: str) -> None:
    """Raises `SlipwayError` where project and stack do not make names that AWS takes."""
    problem = (
        naming.wrong("the project's name in Pulumi.yaml,", project, naming.LONGEST)
        or naming.taken(project)
        or naming.wrong("the stack's name", stack, naming.LONGEST)
        or naming.wrong("project and stack together,", naming.stack_name(project, stack), naming.LONGEST)
    )
    if problem:
        raise SlipwayError(f"Names begin with project and stack: {problem}.", "Take a shorter or plainer name.")


def _typed(value: str) -> Any:
    """A config value as YAML would have it: the engine hands everything over as a string."""
    try:
        return json.loads(value)
    except ValueError:
        return value
