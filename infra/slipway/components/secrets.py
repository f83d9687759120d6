"""Secrets in Secrets Manager: generated once, handed to containers by ECS, never shown."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.outputs import SecretReference
from slipway.config.scram import scram_verifier

PASSWORD_LENGTH = 48
"""Characters; letters and digits, about 285 bits. ElastiCache allows 16 to 128 for an AUTH token."""


@dataclass(frozen=True)
class SecretsArgs:
    """Inputs of `Secrets`."""

    key_arn: pulumi.Input[str]
    generation: int = 1
    """Raising it generates all values again."""
    former: bool = False
    """Whether the previous generation is kept: running tasks, and a rollback, still read it."""
    recovery_window_days: int = 30
    """Days in which a deleted secret can be restored; 0: its name is free immediately."""


class Secrets(pulumi.ComponentResource):
    """Creates JSON secrets, one for each bundle of values. Costs 0.40 USD a secret and month.

    Generated values are drawn once: the first version of a bundle stays until `generation` is raised, and with `former`
    until it is raised once more. Values that may be added later need a bundle of their own, for a stored version gets
    no new key.
    """

    def __init__(self, name: str, args: SecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:secretsmanager:Secrets", name, None, opts)
        self._name, self._args = name, args
        self.register_outputs({})

    def create_generated_value(self, group: str) -> SecretBundle:
        """Creates a secret with one generated value, under the key `value`."""
        return self._create_bundle(group, {"value": self.generate_password()}, once=True)

    def create_passwords(self, group: str, *users: str, values: Collection[str] = ()) -> SecretBundle:
        """Creates a secret with each user's password, its SCRAM verifier as `<user>Verifier`, and other `values`."""
        generated = {value: self.generate_password() for value in values}
        for user in users:
            password = self.generate_password()
            verifier: pulumi.Output[str] = password.apply(scram_verifier)
            generated |= {user: password, f"{user}Verifier": verifier}
        return self._create_bundle(group, generated, once=True)

    def create_from_values(self, group: str, values: Mapping[str, pulumi.Input[str]]) -> SecretBundle:
        """Creates a secret whose values follow the configuration or other resources."""
        return self._create_bundle(group, values, once=False)

    def generate_password(self) -> pulumi.Output[str]:
        """Returns a generated value, secret, that differs in each run of the program."""
        password = aws.secretsmanager.get_random_password_output(
            password_length=PASSWORD_LENGTH,
            exclude_punctuation=True,
            opts=pulumi.InvokeOutputOptions(parent=self),
        )
        return pulumi.Output.secret(password.random_password)

    def _create_bundle(self, group: str, values: Mapping[str, pulumi.Input[str]], *, once: bool) -> SecretBundle:
        name = f"{self._name}-{group}"
        secret = aws.secretsmanager.Secret(
            name,
            description=f"{self._name}: {group}",
            kms_key_id=self._args.key_arn,
            recovery_window_in_days=self._args.recovery_window_days,
            opts=pulumi.ResourceOptions(parent=self),
        )
        text: pulumi.Output[str] = pulumi.Output.secret(pulumi.Output.json_dumps(dict(values)))
        if not once:
            return SecretBundle(secret, self._create_version(name, secret, text))
        generation = self._args.generation
        # Every run draws new values; the stored ones stay.
        keep_values = pulumi.ResourceOptions(ignore_changes=["secretString"])
        former = (
            self._create_version(f"{name}-{generation - 1}", secret, text, keep_values) if self._args.former else None
        )
        # The last created version is AWSCURRENT.
        after_former = pulumi.ResourceOptions(depends_on=[former] if former else None)
        opts = pulumi.ResourceOptions.merge(keep_values, after_former)
        return SecretBundle(secret, self._create_version(f"{name}-{generation}", secret, text, opts), former)

    def _create_version(
        self,
        name: str,
        secret: aws.secretsmanager.Secret,
        text: pulumi.Output[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> aws.secretsmanager.SecretVersion:
        merged = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=self), opts)
        return aws.secretsmanager.SecretVersion(name, secret_id=secret.id, secret_string=text, opts=merged)


@dataclass(frozen=True)
class SecretBundle:
    """A secret, its current version, and the previous one if it is kept."""

    _secret: aws.secretsmanager.Secret
    _version: aws.secretsmanager.SecretVersion
    _former: aws.secretsmanager.SecretVersion | None = None

    def reference(self, key: str = "value") -> SecretReference:
        """Returns a reference to one key of the current version: a new version makes a new task definition revision."""
        return self._reference(self._version, key)

    def former(self, key: str = "value") -> SecretReference | None:
        """Returns a reference to one key of the previous generation; None if it is not kept."""
        return self._reference(self._former, key) if self._former else None

    def _reference(self, version: aws.secretsmanager.SecretVersion, key: str) -> SecretReference:
        value_from = pulumi.Output.format("{0}:{1}::{2}", version.secret_arn, key, version.version_id)
        return SecretReference(self._secret.arn, value_from)

    def value(self, key: str = "value") -> pulumi.Output[str]:
        """Returns the value itself, as a secret output, for another resource's input."""
        return _read_value(self._version, key)

    def accepted_values(self, key: str = "value") -> pulumi.Output[list[str]]:
        """Returns the current value and the one of the previous generation if it is kept, as a secret output."""
        versions = [self._version, *([self._former] if self._former else [])]
        values = pulumi.Output.all(*(_read_value(version, key) for version in versions))
        # Created together, both generations have one value.
        return values.apply(lambda found: list(dict.fromkeys(found)))


def _read_value(version: aws.secretsmanager.SecretVersion, key: str) -> pulumi.Output[str]:
    def read_key(text: str | None) -> str:
        return str(json.loads(text or "{}")[key])

    value: pulumi.Output[str] = pulumi.Output.secret(version.secret_string.apply(read_key))
    return value
