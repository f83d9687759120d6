"""A local AWS that is nothing but what a test says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slipway_local.rights.aws_state import Credentials, Document, Identity, OidcProvider

ACCOUNT = "111122223333"
REGION = "eu-central-1"


def policy(*statements: dict[str, Any]) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    """A statement that allows."""
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    """A statement that denies."""
    return allow(action, resource, **more) | {"Effect": "Deny"}


@dataclass
class FakeState:
    """Answers from dictionaries."""

    roles: dict[str, Identity] = field(default_factory=dict)
    keys: dict[str, Credentials] = field(default_factory=dict)
    policies: dict[str, tuple[Document | None, str]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    encrypted: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, Sequence[str]] = field(default_factory=dict)
    looked_up_tags: list[str] = field(default_factory=list)

    def role(self, account: str, name: str) -> Identity | None:
        return self.roles.get(name)

    def user(self, account: str, name: str) -> Identity | None:
        return None

    def credentials(self, access_key_id: str) -> Credentials | None:
        return self.keys.get(access_key_id)

    def oidc_provider(self, account: str, host: str) -> OidcProvider | None:
        return None

    def resource_policy(self, arn: str) -> tuple[Document | None, str] | None:
        return self.policies.get(arn)

    def resource_tags(self, arn: str) -> Mapping[str, str] | None:
        self.looked_up_tags.append(arn)
        return self.tags.get(arn)

    def secret_arn(self, account: str, region: str, secret_id: str) -> str | None:
        return self.secrets.get(secret_id)

    def key_arn(self, account: str, region: str, key: str) -> str | None:
        return key if key.startswith("arn:") else f"arn:aws:kms:{region}:{account}:key/{key.removeprefix('alias/')}"

    def encryption_key(self, arn: str) -> str | None:
        return self.encrypted.get(arn)

    def task_definition_arn(self, account: str, region: str, family: str) -> str | None:
        return f"arn:aws:ecs:{region}:{account}:task-definition/{family}:7"

    def task_definition_roles(self, arn: str) -> Sequence[str]:
        return self.definitions.get(arn, ())

    def policy_document(self, arn: str) -> Document | None:
        return None
