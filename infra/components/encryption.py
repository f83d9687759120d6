"""The environment's own KMS key."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.components.roles import policy
from infra.settings import Settings


@dataclass(frozen=True)
class EncryptionArgs:
    """Inputs of `Encryption`."""

    deletion_window_days: int = 30
    """How long a deleted key can be brought back, 7 to 30: what it encrypted is lost after that."""
    outlives: bool = False
    """Whether `pulumi destroy` leaves it, for a snapshot that stays is of no use without it."""

    @classmethod
    def of(cls, settings: Settings) -> EncryptionArgs:
        """As a stack's settings have it."""
        return cls(30 if settings.protect else 7, outlives=settings.database_final_snapshot)


class Encryption(pulumi.ComponentResource):
    """A KMS key, rotated every year, for database, cache, images, secrets, logs and alarms. Costs 1 USD a month."""

    key_arn: pulumi.Output[str]

    def __init__(self, name: str, args: EncryptionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:encryption:Encryption", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = aws.kms.Key(
            f"{name}-key",
            description=f"{name}: database, cache, images, secrets, logs, alarms",
            enable_key_rotation=True,
            deletion_window_in_days=args.deletion_window_days,
            policy=_who_may_use_it(self),
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=args.outlives),
        )
        aws.kms.Alias(f"{name}-key", name=f"alias/{name}", target_key_id=key.key_id, opts=child)
        self.key_arn = key.arn
        self.register_outputs({"keyArn": self.key_arn})


def _who_may_use_it(parent: pulumi.Resource) -> pulumi.Output[str]:
    """The account's IAM decides, and the AWS services that encrypt on their own behalf have to be named here.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html and
    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html (publishers to an encrypted topic).
    """
    invoke = pulumi.InvokeOutputOptions(parent=parent)
    account = aws.get_caller_identity_output(opts=invoke).account_id
    region = aws.get_region_output(opts=invoke).region
    return policy(
        [
            {
                "Sid": "IamDecides",
                "Effect": "Allow",
                "Principal": {"AWS": pulumi.Output.format("arn:aws:iam::{0}:root", account)},
                "Action": "kms:*",
                "Resource": "*",  # in a key's policy: this key
            },
            {
                "Sid": "LogGroups",
                "Effect": "Allow",
                "Principal": {"Service": pulumi.Output.format("logs.{0}.amazonaws.com", region)},
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
                "Resource": "*",
                "Condition": {
                    "ArnLike": {
                        "kms:EncryptionContext:aws:logs:arn": pulumi.Output.format(
                            "arn:aws:logs:{0}:{1}:*", region, account
                        )
                    }
                },
            },
            {
                "Sid": "AlarmsAndBudgets",
                "Effect": "Allow",
                "Principal": {"Service": ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            },
            {
                "Sid": "TasksAndBackupsThatFail",  # EventBridge's rules; AWS documents no condition for them
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                "Resource": "*",
            },
        ]
    )
