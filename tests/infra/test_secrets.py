"""Secrets: generated once, made anew on demand, configured ones beside them; containers are told where, never what."""

from __future__ import annotations

import json

from pulumi.runtime import rpc

from infra.components.secrets import GENERATED, Secrets, SecretsArgs
from tests.infra.recorder import Registered, of, record

HOLDER = "aws:secretsmanager/secret:Secret"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"


def made(generation: int = 1, **extra: str) -> tuple[list[Registered], dict[str, str]]:
    references: dict[str, str] = {}

    def build() -> None:
        secrets = Secrets("s", SecretsArgs("arn:key", generation, extra))
        for name, reference in secrets.references.items():
            reference.apply(lambda text, name=name: references.update({name: text}))

    return record(build), references


def test_generated_values_are_one_secret_that_no_later_run_changes() -> None:
    found, _ = made()
    (version,) = of(found, VERSION)
    assert version.name == "s-generated-1"
    assert version.ignore_changes == ("secretString",)
    assert rpc.is_rpc_secret(version.inputs["secretString"])
    assert set(json.loads(rpc.unwrap_rpc_secret(version.inputs["secretString"]))) == set(GENERATED)


def test_a_higher_generation_is_another_version_of_the_same_secret() -> None:
    found, _ = made(generation=2)
    assert [version.name for version in of(found, VERSION)] == ["s-generated-2"]
    assert [secret.name for secret in of(found, HOLDER)] == ["s-generated"]


def test_a_container_names_key_and_version_so_that_a_new_version_is_a_new_revision() -> None:
    _, references = made(SENTRY_DSN="dsn")
    assert references == {name: f"arn:aws:secretsmanager:::app:{name}::v1" for name in (*GENERATED, "SENTRY_DSN")}


def test_configured_values_follow_the_configuration_in_a_secret_of_their_own() -> None:
    found, references = made(SENTRY_DSN="dsn")
    configured = next(version for version in of(found, VERSION) if version.name == "s-configured")
    assert configured.ignore_changes == ()
    assert rpc.is_rpc_secret(configured.inputs["secretString"])
    assert set(references) == {*GENERATED, "SENTRY_DSN"}
    assert len(of(made()[0], HOLDER)) == 1


def test_every_secret_is_encrypted_with_the_environments_key() -> None:
    found, _ = made(SENTRY_DSN="dsn")
    assert {secret.inputs["kmsKeyId"] for secret in of(found, HOLDER)} == {"arn:key"}
