"""What the decision needs to know of the local AWS: the one interface between it and ministack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Document = str | Mapping[str, Any]


@dataclass(frozen=True)
class Identity:
    """A role or a user, with its policies."""

    arn: str
    account: str
    policies: Sequence[tuple[str, Document]] = ()
    """Name and document of each policy, inline and attached."""

    boundary: Document | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    unique_id: str = ""
    trust: Document | None = None
    """Trust policy; a user has none."""

    max_session_seconds: int = 3600


@dataclass(frozen=True)
class Credentials:
    """An access key that the local AWS gave out."""

    access_key_id: str
    secret: str
    account: str
    kind: Literal["user", "role", "administrator"]
    arn: str
    """ARN of the user, or of the role session."""

    session_token: str = ""
    expiration: float = 0.0
    """Seconds since 1970; 0 for keys that do not expire."""

    issued_at: float = 0.0
    session_policies: Sequence[Document] | None = None
    session_tags: Mapping[str, str] = field(default_factory=dict)
    unique_id: str = ""


@dataclass(frozen=True)
class OidcProvider:
    """An OIDC identity provider of an account."""

    arn: str
    url: str
    """`https://token.actions.githubusercontent.com`, with its scheme."""

    client_ids: Sequence[str]


class AwsState(Protocol):
    """Reads of the local AWS. Each answers None where there is nothing."""

    def role(self, account: str, name: str) -> Identity | None:
        """Returns a role by its name without path."""

    def user(self, account: str, name: str) -> Identity | None:
        """Returns a user by name; its policies include those of its groups."""

    def credentials(self, access_key_id: str) -> Credentials | None:
        """Returns what an access key belongs to."""

    def oidc_provider(self, account: str, host: str) -> OidcProvider | None:
        """Returns the provider for an issuer, by the issuer's URL without its scheme."""

    def resource_policy(self, arn: str) -> tuple[Document | None, str] | None:
        """Returns a resource's policy (None where it has none) and its owner's account."""

    def resource_tags(self, arn: str) -> Mapping[str, str] | None:
        """Returns the tags of a resource."""

    def secret_arn(self, account: str, region: str, secret_id: str) -> str | None:
        """Returns a secret's full ARN by its name or a part of its ARN."""

    def key_arn(self, account: str, region: str, key: str) -> str | None:
        """Returns a KMS key's ARN by its id, ARN, alias or alias's ARN."""

    def encryption_key(self, arn: str) -> str | None:
        """Returns the customer-managed KMS key that a bucket, queue, topic, secret or parameter is encrypted with."""

    def task_definition_arn(self, account: str, region: str, family: str) -> str | None:
        """Returns the ARN of the newest active revision of a family."""

    def task_definition_roles(self, arn: str) -> Sequence[str]:
        """Returns the ARNs of a task definition's task role and execution role."""

    def policy_document(self, arn: str) -> Document | None:
        """Returns the document of a managed policy."""
