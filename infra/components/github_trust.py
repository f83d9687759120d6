"""Who takes on a role of the pipeline: GitHub's jobs, by a token that names repository and environment, with no key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from infra.components.roles import Statement, policy
from infra.settings import Settings

ISSUER = "token.actions.githubusercontent.com"


@dataclass(frozen=True)
class Job:
    """The jobs of one repository that name one of its GitHub environments, and have been through what that asks for."""

    repository: str
    """owner/name on GitHub, or owner@123/name@456 where GitHub's tokens name both by number too."""
    environment: str

    def trust(self, provider_arn: pulumi.Input[str]) -> pulumi.Output[str]:
        """A role's trust policy: these jobs and no others (CKV_AWS_393)."""
        conditions = {
            f"{ISSUER}:aud": "sts.amazonaws.com",
            f"{ISSUER}:sub": f"repo:{self.repository}:environment:{self.environment}",
        }
        return policy(
            [
                {
                    "Effect": "Allow",
                    "Principal": {"Federated": provider_arn},
                    "Action": "sts:AssumeRoleWithWebIdentity",
                    "Condition": {"StringEquals": conditions},
                }
            ]
        )


def allow(actions: str | list[str], resources: object, conditions: Mapping[str, object] | None = None) -> Statement:
    """A statement of a policy."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return statement | ({"Condition": conditions} if conditions else {})


@dataclass(frozen=True)
class StateAccess:
    """Pulumi's state in S3, and the KMS key of the secrets in it: what a role may see of a state that others share."""

    bucket: str
    """Empty for another backend, which has rights of its own."""
    key_arn: str
    project: str
    stack: str
    """A name, or what names are like: `pr-*`."""
    also_reads: str = ""
    """Another stack's name."""

    @classmethod
    def of(cls, settings: Settings) -> StateAccess:
        """As a stack's settings have it, for the stack of this program."""
        project, stack = pulumi.get_project(), pulumi.get_stack()
        return cls(settings.state_bucket, settings.state_key, project, stack, settings.promotes_from)

    def reading(self) -> list[Statement]:
        """Read this stack's state, and decrypt what is a secret in it."""
        stacks = [self.stack, *([self.also_reads] if self.also_reads else [])]
        found = []
        if self.bucket:
            files = [file for stack in stacks for file in self._files(stack)]
            found += [
                allow("s3:ListBucket", f"arn:aws:s3:::{self.bucket}"),
                allow("s3:GetObject", [f"arn:aws:s3:::{self.bucket}/.pulumi/meta.yaml", *files]),
            ]
        if self.key_arn:
            by_s3 = {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}
            # Each stack's secrets are under the key in its own name: `context_stack` of the secrets provider.
            of_a_stack = {"StringLike": {"kms:EncryptionContext:stack": stacks}}
            found += [allow("kms:Decrypt", self.key_arn, by_s3), allow("kms:Decrypt", self.key_arn, of_a_stack)]
        return found

    def writing(self) -> list[Statement]:
        """Also write it."""
        found = self.reading()
        if self.bucket:
            found.append(allow(["s3:PutObject", "s3:DeleteObject"], self._files(self.stack)))
        if self.key_arn:
            by_s3 = {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}
            found.append(allow("kms:GenerateDataKey", self.key_arn, by_s3))
        return found

    def _files(self, stack: str) -> Sequence[str]:
        """Where the backend keeps a stack: state, history, backups and locks."""
        folder = f"arn:aws:s3:::{self.bucket}/.pulumi"
        return [f"{folder}/stacks/{self.project}/{stack}.*", f"{folder}/*/{self.project}/{stack}/*"]
