"""Secrets: generated once, made anew on demand, others that follow; containers are told where, never what."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

from slipway.components.secrets import PASSWORD_LENGTH, SecretBundle, Secrets, SecretsArgs, scram_verifier
from tests.infra.recorder import Mocks, Registered, of, record

HOLDER = "aws:secretsmanager/secret:Secret"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"


def made(
    ask: Callable[[Secrets], SecretBundle], generation: int = 1, key: str = "value", *, former: bool = False
) -> tuple[list[Registered], str]:
    references: list[str] = []

    def build() -> None:
        group = ask(Secrets("s", SecretsArgs("arn:key", generation, former=former)))
        group.reference(key).value_from.apply(references.append)  # type: ignore[union-attr]

    return record(build), references[0]


def content(version: Registered) -> dict[str, str]:
    assert rpc.is_rpc_secret(version.inputs["secretString"])
    found: dict[str, str] = json.loads(rpc.unwrap_rpc_secret(version.inputs["secretString"]))
    return found


def test_a_generated_value_is_one_that_no_later_run_changes() -> None:
    found, _ = made(lambda secrets: secrets.create_generated_value("key"))
    (version,) = of(found, VERSION)
    assert version.name == "s-key-1"
    assert version.ignore_changes == ("secretString",)
    assert content(version) == {"value": "generated"}


def test_a_generated_password_is_long_and_goes_unquoted_into_a_url_and_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def call(_: Any, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        asked.append(args.args)
        return {"randomPassword": "generated"}

    monkeypatch.setattr(Mocks, "call", call)
    made(lambda secrets: secrets.create_generated_value("key"))
    assert asked == [{"passwordLength": PASSWORD_LENGTH, "excludePunctuation": True}]
    assert 32 <= PASSWORD_LENGTH <= 128  # ElastiCache takes no longer token


def test_a_generated_password_is_secret_wherever_it_is_used() -> None:
    def build() -> None:
        pulumi.Stash("used", input=Secrets("s", SecretsArgs("arn:key")).generate_password())

    (stash,) = of(record(build), "pulumi:index:Stash")
    assert rpc.is_rpc_secret(stash.inputs["input"])


def test_a_higher_generation_is_another_version_of_the_same_secret() -> None:
    found, _ = made(lambda secrets: secrets.create_generated_value("key"), generation=2)
    assert [version.name for version in of(found, VERSION)] == ["s-key-2"]
    assert [secret.name for secret in of(found, HOLDER)] == ["s-key"]


def test_after_a_rotation_the_version_before_stays_as_it_was_until_it_is_retired() -> None:
    """The same resource as the generation before registered: a task that starts again, and a rollback, ask for it."""
    found, _ = made(lambda secrets: secrets.create_generated_value("key"), generation=2, former=True)
    versions = of(found, VERSION)
    assert [(version.name, version.ignore_changes) for version in versions] == [
        ("s-key-1", ("secretString",)),
        ("s-key-2", ("secretString",)),
    ]


def test_a_container_names_key_and_version_so_that_a_new_version_is_a_new_revision() -> None:
    _, reference = made(lambda secrets: secrets.create_from_values("configured", {"DSN": "x"}), key="DSN")
    assert reference == "arn:aws:secretsmanager:::app:DSN::v1"


def test_what_follows_the_configuration_is_no_generations_matter() -> None:
    found, _ = made(lambda secrets: secrets.create_from_values("configured", {"DSN": "dsn"}), key="DSN")
    (version,) = of(found, VERSION)
    assert (version.name, version.ignore_changes) == ("s-configured", ())
    assert content(version) == {"DSN": "dsn"}


def test_every_secret_is_encrypted_with_the_stacks_key() -> None:
    found, _ = made(lambda secrets: secrets.create_generated_value("key"))
    assert [secret.inputs["kmsKeyId"] for secret in of(found, HOLDER)] == ["arn:key"]


def test_a_password_comes_with_what_postgres_needs_to_know_of_it() -> None:
    found, _ = made(lambda secrets: secrets.create_passwords("database", "app", "release"), key="app")
    (version,) = of(found, VERSION)
    values = content(version)
    assert set(values) == {"app", "appVerifier", "release", "releaseVerifier"}
    assert version.ignore_changes == ("secretString",)
    assert proves(values["appVerifier"], "generated")


def proves(verifier: str, password: str) -> bool:
    """What the server does with a login (RFC 5802): the client's proof has to lead back to the stored key."""
    head, keys = verifier.removeprefix("SCRAM-SHA-256$").split("$")
    rounds, salt = head.split(":")
    stored, server = (base64.b64decode(part) for part in keys.split(":"))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
    client = hmac.digest(salted, b"Client Key", "sha256")
    return hashlib.sha256(client).digest() == stored and hmac.digest(salted, b"Server Key", "sha256") == server


def test_a_verifier_proves_its_password_alone_and_is_another_one_each_time() -> None:
    one, two = scram_verifier("correct horse"), scram_verifier("correct horse")
    assert one != two
    assert proves(one, "correct horse")
    assert not proves(one, "another")
    assert "correct horse" not in one
