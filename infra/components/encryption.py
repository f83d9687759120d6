"""The environment's own KMS key."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class EncryptionArgs:
    """Inputs of `Encryption`."""

    deletion_window_days: int = 30
    """How long a deleted key can be brought back, 7 to 30: what it encrypted is lost after that."""


class Encryption(pulumi.ComponentResource):
    """A KMS key, rotated every year, for the database, its backups and the secrets. Costs 1 USD a month."""

    key_arn: pulumi.Output[str]

    def __init__(self, name: str, args: EncryptionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:encryption:Encryption", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = aws.kms.Key(
            f"{name}-key",
            description=f"{name}: database, backups, secrets",
            enable_key_rotation=True,
            deletion_window_in_days=args.deletion_window_days,
            opts=child,
        )
        aws.kms.Alias(f"{name}-key", name=f"alias/{name}", target_key_id=key.key_id, opts=child)
        self.key_arn = key.arn
        self.register_outputs({"keyArn": self.key_arn})
