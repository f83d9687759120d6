"""What nobody may see: generated once, kept in Secrets Manager, handed to containers by ECS."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets as randomness
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.foundation import SecretValue
from infra.settings import Settings

LENGTH = 48
"""Characters; letters and digits, about 285 bits. ElastiCache takes 16 to 128 for an AUTH token."""
SCRAM_ROUNDS = 4096
"""Postgres's own number."""


@dataclass(frozen=True)
class SecretsArgs:
    """Inputs of `Secrets`."""

    key_arn: pulumi.Input[str]
    generation: int = 1
    """Raise it to have all generated values made anew."""
    former: bool = False
    """Whether the values of the generation before are kept: tasks, and a rollback, still ask for them."""
    recovery_window_days: int = 30
    """0 frees the name at once."""

    @classmethod
    def of(cls, settings: Settings, *, key_arn: pulumi.Input[str]) -> SecretsArgs:
        """As a stack's settings have it."""
        return cls(
            key_arn,
            settings.secrets_generation,
            settings.former_secrets,
            recovery_window_days=30 if settings.protect else 0,
        )


class Secrets(pulumi.ComponentResource):
    """Secrets by groups, each a JSON secret of its own. Costs 0.40 USD a secret and month.

    Generated values are made once: the first version of a group stays until `generation` is raised, and with `former`
    until it is raised once more. What belongs
    together is one group, and what can come later is another, for a version that is there gets no new key.
    """

    def __init__(self, name: str, args: SecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:secrets:Secrets", name, None, opts)
        self._name, self._args = name, args
        self.register_outputs({})

    def generated(self, group: str) -> Group:
        """A value that is drawn once, under the key `value`."""
        return self._group(group, {"value": self.random()}, once=True)

    def passwords(self, group: str, *users: str, values: Collection[str] = ()) -> Group:
        """For each user a password, and under `<user>Verifier` what Postgres needs to know of it; and other values."""
        found = {value: self.random() for value in values}
        for user in users:
            password = self.random()
            verifier: pulumi.Output[str] = password.apply(scram_verifier)
            found |= {user: password, f"{user}Verifier": verifier}
        return self._group(group, found, once=True)

    def following(self, group: str, values: Mapping[str, pulumi.Input[str]]) -> Group:
        """Values that follow the configuration, or what other resources say."""
        return self._group(group, values, once=False)

    def random(self) -> pulumi.Output[str]:
        """A value that is another one in each run."""
        made = aws.secretsmanager.get_random_password_output(
            password_length=LENGTH,
            exclude_punctuation=True,
            opts=pulumi.InvokeOutputOptions(parent=self),
        )
        return pulumi.Output.secret(made.random_password)

    def _group(self, group: str, values: Mapping[str, pulumi.Input[str]], *, once: bool) -> Group:
        name = f"{self._name}-{group}"
        holder = aws.secretsmanager.Secret(
            name,
            description=f"{self._name}: {group}",
            kms_key_id=self._args.key_arn,
            recovery_window_in_days=self._args.recovery_window_days,
            opts=pulumi.ResourceOptions(parent=self),
        )
        text: pulumi.Output[str] = pulumi.Output.json_dumps(dict(values))
        marked: pulumi.Output[str] = pulumi.Output.secret(text)
        if not once:
            return Group(holder, self._stored(name, holder, marked))
        number = self._args.generation
        # Every run draws new values; the first ones stay.
        stays = pulumi.ResourceOptions(ignore_changes=["secretString"])
        former = self._stored(f"{name}-{number - 1}", holder, marked, stays) if self._args.former else None
        # The last one made is AWSCURRENT.
        stays = pulumi.ResourceOptions.merge(stays, pulumi.ResourceOptions(depends_on=[former] if former else None))
        return Group(holder, self._stored(f"{name}-{number}", holder, marked, stays), former)

    def _stored(
        self,
        name: str,
        holder: aws.secretsmanager.Secret,
        text: pulumi.Output[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> aws.secretsmanager.SecretVersion:
        merged = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=self), opts)
        return aws.secretsmanager.SecretVersion(name, secret_id=holder.id, secret_string=text, opts=merged)


@dataclass(frozen=True)
class Group:
    """A secret and its version of today; and the one before, where that is kept."""

    _holder: aws.secretsmanager.Secret
    _version: aws.secretsmanager.SecretVersion
    _former: aws.secretsmanager.SecretVersion | None = None

    def reference(self, key: str = "value") -> SecretValue:
        """One key of this very version: a new one is a new task definition, so that tasks that run get it too."""
        return self._reference(self._version, key)

    def former(self, key: str = "value") -> SecretValue | None:
        """The same of the generation before; None where it is not kept."""
        return self._reference(self._former, key) if self._former else None

    def _reference(self, version: aws.secretsmanager.SecretVersion, key: str) -> SecretValue:
        named = pulumi.Output.format("{0}:{1}::{2}", version.secret_arn, key, version.version_id)
        return SecretValue(self._holder.arn, named)

    def value(self, key: str = "value") -> pulumi.Output[str]:
        """The value itself, secret, for another resource's input."""
        text = self._version.secret_string
        found: pulumi.Output[str] = pulumi.Output.secret(text.apply(lambda found: str(json.loads(found or "{}")[key])))
        return found


def scram_verifier(password: str) -> str:
    """What Postgres stores of a password, with a new salt (RFC 5802 and 7677): it proves one, and opens nothing."""
    salt = randomness.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, SCRAM_ROUNDS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${SCRAM_ROUNDS}:{salt_text}${stored_text}:{server_text}"
