"""What the app must not show: generated once, kept in Secrets Manager, handed to containers by ECS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra.settings import Settings

GENERATED = ("SECRET_KEY", "DATABASE_PASSWORD", "REDIS_PASSWORD")
LENGTH = 48
"""Characters; letters and digits, about 285 bits. ElastiCache takes 16 to 128 for an AUTH token."""


@dataclass(frozen=True)
class SecretsArgs:
    """Inputs of `Secrets`."""

    key_arn: pulumi.Input[str]
    generation: int = 1
    """Raise it to have all generated values made anew."""
    extra: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Variables from `pulumi config set --secret --path 'slipway:appSecrets.NAME'`."""
    recovery_window_days: int = 30
    """0 frees the name at once."""

    @classmethod
    def of(cls, settings: Settings, *, key_arn: pulumi.Input[str]) -> SecretsArgs:
        """As a stack's settings have it."""
        return cls(
            key_arn=key_arn,
            generation=settings.secrets_generation,
            extra=settings.app_secrets(),
            recovery_window_days=30 if settings.protect else 0,
        )


class Secrets(pulumi.ComponentResource):
    """One JSON secret of generated values, and one of the configured values where there are any.

    Generated values are made once: the first version stays until `generation` is raised. Configured ones follow the
    configuration, which is why they are a secret of their own. Costs 0.40 USD a secret and month.
    """

    arns: list[pulumi.Output[str]]
    """What a task's execution role must be able to read."""
    references: dict[str, pulumi.Output[str]]
    """Environment variable -> what an ECS `secrets` entry takes its value from."""

    def __init__(self, name: str, args: SecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:secrets:Secrets", name, None, opts)
        generated = self._secret(f"{name}-generated", "Generated values of the app", args)
        values = {key: _random(self) for key in GENERATED}
        version = aws.secretsmanager.SecretVersion(
            f"{name}-generated-{args.generation}",
            secret_id=generated.id,
            secret_string=_secret_json(values),
            # Every run draws new values; the first ones stay.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["secretString"]),
        )
        self._values = version.secret_string
        self.arns = [generated.arn]
        self.references = {key: _reference(version, key) for key in GENERATED}
        if args.extra:
            configured = self._secret(f"{name}-configured", "Configured values of the app", args)
            configured_version = aws.secretsmanager.SecretVersion(
                f"{name}-configured",
                secret_id=configured.id,
                secret_string=_secret_json(args.extra),
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.arns.append(configured.arn)
            self.references |= {key: _reference(configured_version, key) for key in args.extra}
        self.register_outputs({})

    def value(self, key: str) -> pulumi.Output[str]:
        """A generated value, secret, for another resource's input."""
        return pulumi.Output.secret(self._values.apply(lambda text: str(json.loads(text or "{}").get(key, ""))))

    def _secret(self, name: str, description: str, args: SecretsArgs) -> aws.secretsmanager.Secret:
        return aws.secretsmanager.Secret(
            name,
            description=description,
            kms_key_id=args.key_arn,
            recovery_window_in_days=args.recovery_window_days,
            opts=pulumi.ResourceOptions(parent=self),
        )


def _reference(version: aws.secretsmanager.SecretVersion, key: str) -> pulumi.Output[str]:
    """One key of this very version: a new one is a new task definition, so that tasks that run get it too."""
    return pulumi.Output.format("{0}:{1}::{2}", version.secret_arn, key, version.version_id)


def _random(parent: pulumi.Resource) -> pulumi.Output[str]:
    made = aws.secretsmanager.get_random_password_output(
        password_length=LENGTH,
        exclude_punctuation=True,
        opts=pulumi.InvokeOutputOptions(parent=parent),
    )
    return pulumi.Output.secret(made.random_password)


def _secret_json(values: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
    text: pulumi.Output[str] = pulumi.Output.json_dumps(dict(values))
    marked: pulumi.Output[str] = pulumi.Output.secret(text)
    return marked
