"""A stack's settings: typed, with defaults, and checked as a whole before anything is changed.

Each setting is defined once, in `setting_sections`. A wrong value is a `SlipwayError` that names the key, the value
and what is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError, model_validator

from slipway.config import names
from slipway.config.errors import SlipwayError
from slipway.config.project import project_root, read_project_name
from slipway.config.setting_sections import SECRETS_KEY, TEXT_KEYS, AllSettings
from slipway.config.setting_sections.network import ExistingVpc
from slipway.config.setting_sections.release import IMAGE_DIGEST_PATTERN
from slipway.config.setting_sections.stack import ProcessOverrides
from slipway.config.stack_config import read_stack_config, select_settings, stack_file_path
from slipway.config.text_files import read_text_file
from slipway.config.validation_errors import convert_validation_error

if TYPE_CHECKING:
    import pulumi  # the functions that the engine calls import it: it costs commands half a second

__all__ = [
    "IMAGE_DIGEST_PATTERN",
    "PLACEHOLDER_DOMAIN",
    "SECRETS_CONFIG_KEY",
    "ExistingVpc",
    "ProcessOverrides",
    "Settings",
    "check_stack_name",
]

SECRETS_CONFIG_KEY = SECRETS_KEY

PLACEHOLDER_DOMAIN = "example.com"
"""Reserved for documentation (RFC 2606): the domain in a new stack file until you set yours."""

GENERATED_FILES = ".slipway/"
"""Where `slipway up` writes files that this machine's stack names in its settings."""


class Settings(AllSettings):
    """The settings of one stack. The validators here check relations between settings of several sections."""

    @model_validator(mode="after")
    def _check_hosted_zone(self) -> Self:
        if self.external_dns:
            return self._check_external_dns()
        if bool(self.domain or self.preview_domain) != bool(self.hosted_zone_id):
            raise ValueError(
                "domain and hostedZoneId go together, and so do previewDomain and hostedZoneId: set the name and the "
                "Route 53 hosted zone (Z...) that its records are created in, or neither; with DNS elsewhere set "
                "externalDns to true"
            )
        return self

    def _check_external_dns(self) -> Self:
        if not self.domain or self.hosted_zone_id:
            raise ValueError(
                "externalDns is true: it is for a domain without a hosted zone. Set domain, and remove hostedZoneId"
            )
        if self.preview_domain:
            raise ValueError(
                "externalDns is true and previewDomain is set: previews' names need a hosted zone. Remove previewDomain"
            )
        return self

    @model_validator(mode="after")
    def _check_internal(self) -> Self:
        if self.internal and self.previews:
            raise ValueError(
                "internal is true and previews is true: a preview is verified by a request, and an internal load "
                "balancer cannot be reached from a CI runner. Set previews to false"
            )
        return self

    @model_validator(mode="after")
    def _check_cdn(self) -> Self:
        if not self.cdn:
            return self
        if self.internal:
            raise ValueError(
                "cdn is true and internal is true: CloudFront reaches the load balancer by its public address. Set one "
                "of them to false"
            )
        if self.external_dns:
            raise ValueError(
                "cdn is true and externalDns is true: the name has to move to CloudFront in the update that closes the "
                "load balancer to all other clients, and the kit cannot change your DNS. Set domain and hostedZoneId, "
                "without externalDns; or cdn to false"
            )
        if not self.domain:
            raise ValueError(
                "cdn is true and domain is empty: without a certificate CloudFront would talk to the load balancer "
                "over plain HTTP, and the app would take every request for one. Set domain and hostedZoneId, or cdn to "
                "false"
            )
        if self.allowed_cidrs:
            raise ValueError(
                "cdn is true and allowedCidrs is set: the load balancer takes CloudFront's requests only, and "
                "CloudFront takes any client's. Set allowedCidrs to [], or cdn to false"
            )
        if self.previews:
            raise ValueError(
                "cdn is true and previews is true: previews' names lead to the load balancer itself, which takes "
                "CloudFront's requests only. Set one of them to false"
            )
        return self

    @model_validator(mode="after")
    def _check_preview_domain(self) -> Self:
        if not self.preview_domain:
            return self
        if not self.previews and self.kind == "environment":
            raise ValueError(
                "previewDomain is set and previews is false: no preview would use it. Set previews to true, or "
                "previewDomain to empty"
            )
        own, previews = f".{self.domain}", f".{self.preview_domain}"
        if self.domain and (own.endswith(previews) or previews.endswith(own)):
            raise ValueError(
                f"previewDomain is {self.preview_domain} and domain is {self.domain}: they are the same or one is "
                "below the other, so a preview could read or set cookies of the environment. Take separate names: "
                "domain dev.example.com, previewDomain preview.example.com"
            )
        return self

    @model_validator(mode="after")
    def _check_grafana(self) -> Self:
        if self.grafana and not self.monitoring:
            raise ValueError("grafana is true and monitoring is false: it has no Prometheus. Set monitoring to true")
        if self.grafana and not self.domain:
            raise ValueError("grafana is true and domain is empty: its login requires TLS. Set domain and hostedZoneId")
        return self

    @model_validator(mode="after")
    def _check_secrets_generation(self) -> Self:
        if self.secrets_retired >= self.secrets_generation:
            raise ValueError(
                f"secretsRetired is {self.secrets_retired} and must be below secretsGeneration, "
                f"{self.secrets_generation}, which is in use. Raise secretsGeneration first, and deploy it"
            )
        return self

    @model_validator(mode="after")
    def _check_production(self) -> Self:
        if self.tier != "prod":
            return self
        required = {
            "natGateways: per-zone": self.nat_gateways == "per-zone" or self.existing_vpc is not None,
            "publicTasks: false": not self.public_tasks,
            "domain (for TLS)": bool(self.domain),
            "waf: true": self.waf,
            "containerInsights: true": self.container_insights,
            "alarmEmail": bool(self.alarm_email),
        }
        missing = [setting for setting, is_met in required.items() if not is_met]
        if missing:
            raise ValueError(
                f"tier: prod requires {', '.join(missing)}, which this stack does not have. Set them, or another tier"
            )
        return self

    @model_validator(mode="after")
    def _check_off_hours(self) -> Self:
        if self.off_hours is None:
            return self
        if self.tier == "prod" and not self.off_hours.also_in_prod:
            raise ValueError(
                "offHours is set in tier prod, which would not answer meanwhile. Remove it; or say it a second time: "
                "offHours: {..., alsoInProd: true}"
            )
        if self.nat_gateways == "none" and not (self.existing_vpc or self.public_tasks):
            raise ValueError(
                "offHours is set and natGateways is none: its task calls services of AWS that have no interface "
                "endpoint here. Set natGateways to one"
            )
        return self

    def weak_stores(self, stores: set[str]) -> list[str]:
        """Returns the keys by which one of `stores` could lose data or would not survive the loss of a zone."""
        weak = {
            "databaseMultiAz": "database" in stores and not self.database_multi_az,
            "databaseBackupDays": "database" in stores and self.database_backup_days < 7,
            "databaseFinalSnapshot": "database" in stores and not self.database_final_snapshot,
            "cacheNodes": "cache" in stores and self.cache_nodes < 2,
        }
        return [key for key, is_weak in weak.items() if is_weak]

    @property
    def exec_enabled(self) -> bool:
        """Whether ECS Exec is on in the stack's tasks."""
        return self.tier == "dev" if self.exec is None else self.exec

    @property
    def has_former_secrets(self) -> bool:
        """Whether secrets of an earlier generation still work."""
        return self.secrets_retired < self.secrets_generation - 1

    @property
    def pinned(self) -> str:
        """The digest of the image that is deployed in place of one built from the sources; empty for none."""
        return self.rollback_to or self.image_digest

    def placeholder_keys(self) -> list[str]:
        """Returns the keys that still have a placeholder of a new stack file."""
        return list(self._placeholders())

    def _placeholders(self) -> dict[str, str]:
        values = {"domain": self.domain, "previewDomain": self.preview_domain, "alarmEmail": self.alarm_email}
        return {
            key: value
            for key, value in values.items()
            if f".{value.rpartition('@')[2]}".endswith(f".{PLACEHOLDER_DOMAIN}")
        }

    def read_pem(self, key: str, path: str) -> str:
        """Returns the text of the PEM file that the setting `key` names; empty for no path.

        A preview of changes runs without the files that `slipway up` writes later. Raises `pulumi.RunError`.
        """
        import pulumi

        if not path:
            return ""
        file = project_root() / path
        if path.startswith(GENERATED_FILES) and not file.exists() and pulumi.runtime.is_dry_run():
            return "written by `slipway up`\n"
        try:
            return read_text_file(file, path)
        except SlipwayError as error:
            cure = "slipway up writes it" if path.startswith(GENERATED_FILES) else error.fix
            raise pulumi.RunError(f"{key} is {path!r}: {error.message} {cure}") from None

    @staticmethod
    def configured_secrets() -> dict[str, pulumi.Output[str]]:
        """Returns the app's secret variables that are configured, each as a secret output."""
        import pulumi

        config = pulumi.Config()
        secrets = config.get_secret(SECRETS_CONFIG_KEY)
        variables = json.loads(pulumi.runtime.get_config(f"{config.name}:{SECRETS_CONFIG_KEY}") or "{}")
        if secrets is None:
            return {}

        def read_value(variable: str) -> pulumi.Output[str]:
            return secrets.apply(lambda text: str(json.loads(text)[variable]))

        return {variable: read_value(variable) for variable in variables}

    @classmethod
    def load(cls, values: Mapping[str, Any], source: str) -> Settings:
        """Returns checked settings with defaults for keys that `values` does not have.

        Keys are without the project's name; `source` is the file that errors name. Raises `SlipwayError`.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise convert_validation_error(error, source, cls) from None

    @classmethod
    def from_pulumi(cls) -> Settings:
        """Returns the settings of the stack that the engine runs.

        Raises `pulumi.RunError`, which the engine shows without a stack trace.
        """
        import pulumi

        stack = pulumi.get_stack()
        source = f"stacks/Pulumi.{stack}.yaml"
        try:
            check_stack_name(pulumi.get_project(), stack)
            _check_stack_file(stack)
            values = select_settings(_read_engine_config(), pulumi.get_project(), source)
            values.pop(SECRETS_CONFIG_KEY, None)
            settings = cls.load({key: _parse_engine_value(key, value) for key, value in values.items()}, source)
        except SlipwayError as error:
            raise pulumi.RunError(str(error)) from None
        placeholders = settings._placeholders()
        if placeholders and not pulumi.runtime.is_dry_run():
            key, value = next(iter(placeholders.items()))
            own_value = value.replace(PLACEHOLDER_DOMAIN, "your-company.com")
            raise pulumi.RunError(
                f"{source}: {', '.join(f'{k} is still the placeholder {v}' for k, v in placeholders.items())}. "
                f"Set yours: pulumi config set {key} {own_value} -s {stack}"
            )
        if settings.tier == "prod" and not settings.protect:
            pulumi.log.warn("protect is false in tier prod: `pulumi destroy` would delete data without being refused")
        return settings

    @classmethod
    def from_files(cls, stack: str, root: Path | None = None) -> Settings:
        """Returns the settings in the stack's file, without the engine and without its secrets.

        Raises `SlipwayError`.
        """
        root = root or project_root()
        config = read_stack_config(stack, root)
        project = read_project_name(root)
        check_stack_name(project, stack)
        source = str(stack_file_path(stack, root).relative_to(root))
        values = select_settings(config, project, source)
        values.pop(SECRETS_CONFIG_KEY, None)
        return cls.load(values, source)


def check_stack_name(project: str, stack: str) -> None:
    """Raises `SlipwayError` where project and stack do not make names that AWS allows."""
    problem = (
        names.name_error("the project's name in Pulumi.yaml,", project, names.MAX_STACK_NAME_LENGTH)
        or names.reserved_prefix_error(project)
        or names.name_error("the stack's name", stack, names.MAX_STACK_NAME_LENGTH)
        or names.name_error(
            "project and stack together,", names.stack_name(project, stack), names.MAX_STACK_NAME_LENGTH
        )
    )
    if problem:
        raise SlipwayError(
            f"All resources are named after project and stack: {problem}.", "Choose another name for it."
        )


def _read_engine_config() -> dict[str, Any]:
    """Returns the whole configuration that the engine hands to the program: all values are strings."""
    import pulumi

    return {**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()}


def _check_stack_file(stack: str) -> None:
    """Raises `SlipwayError` for text in the stack's file that the engine has changed, such as 1.10 to 1.1."""
    import pulumi

    root = Path(pulumi.get_root_directory() or project_root())
    if stack_file_path(stack, root).exists():
        read_stack_config(stack, root)


def _parse_engine_value(key: str, value: str) -> Any:
    """Returns a text setting as it is, and any other one as the JSON value that it is the text of."""
    if key in TEXT_KEYS:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
