"""GitHub's OIDC subjects, which the CI pipeline's roles trust, and the roles' access to Pulumi's state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from slipway.components.iam_roles import Statement, policy_document

ISSUER = "token.actions.githubusercontent.com"


@dataclass(frozen=True)
class OidcSubject:
    """The jobs of a repository that name one of its GitHub environments, and so have passed its rules."""

    repository: str
    """owner/name on GitHub, or owner@123/name@456 if GitHub's tokens contain the ids too."""
    environment: str

    def trust(self, provider_arn: pulumi.Input[str]) -> pulumi.Output[str]:
        """Returns a role's trust policy: these jobs and no others (CKV_AWS_393)."""
        conditions = {
            f"{ISSUER}:aud": "sts.amazonaws.com",
            f"{ISSUER}:sub": f"repo:{self.repository}:environment:{self.environment}",
        }
        return policy_document(
            [
                {
                    "Effect": "Allow",
                    "Principal": {"Federated": provider_arn},
                    "Action": "sts:AssumeRoleWithWebIdentity",
                    "Condition": {"StringEquals": conditions},
                }
            ]
        )


def allow_statement(
    actions: str | list[str], resources: object, conditions: Mapping[str, object] | None = None
) -> Statement:
    """Returns a statement of an IAM policy."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return statement | ({"Condition": conditions} if conditions else {})


@dataclass(frozen=True)
class StateAccess:
    """Pulumi's state in S3 and the KMS key of its secrets: a stack's part of a bucket that several stacks share."""

    bucket: str
    """Empty for a backend that is not S3."""
    key_arn: str
    """Empty if the stack's secrets are encrypted with a passphrase."""
    project: str
    stack: str
    """A name, or a pattern: `pr-*`."""
    readable_stack: str = ""
    """Another stack whose state may be read; empty for none."""

    def read_statements(self) -> list[Statement]:
        """Returns the rights to read this stack's state, and to decrypt the secrets in it."""
        stacks = [self.stack, *([self.readable_stack] if self.readable_stack else [])]
        statements = []
        if self.bucket:
            files = [file for stack in stacks for file in self._files(stack)]
            statements += [
                allow_statement("s3:ListBucket", f"arn:aws:s3:::{self.bucket}"),
                allow_statement("s3:GetObject", [f"arn:aws:s3:::{self.bucket}/.pulumi/meta.yaml", *files]),
            ]
        if self.key_arn:
            by_s3 = {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}
            # Each stack's secrets are under the key in its own name: `context_stack` of the secrets provider.
            of_a_stack = {"StringLike": {"kms:EncryptionContext:stack": stacks}}
            statements += [
                allow_statement("kms:Decrypt", self.key_arn, by_s3),
                allow_statement("kms:Decrypt", self.key_arn, of_a_stack),
            ]
        return statements

    def write_statements(self) -> list[Statement]:
        """Returns the rights to read and to write this stack's state."""
        statements = self.read_statements()
        if self.bucket:
            statements.append(allow_statement(["s3:PutObject", "s3:DeleteObject"], self._files(self.stack)))
        if self.key_arn:
            by_s3 = {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}
            statements.append(allow_statement("kms:GenerateDataKey", self.key_arn, by_s3))
        return statements

    def _files(self, stack: str) -> Sequence[str]:
        """Returns the ARNs of a stack's files in the backend: state, history, backups and locks."""
        folder = f"arn:aws:s3:::{self.bucket}/.pulumi"
        return [f"{folder}/stacks/{self.project}/{stack}.*", f"{folder}/*/{self.project}/{stack}/*"]
