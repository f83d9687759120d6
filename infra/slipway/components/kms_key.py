"""The KMS key of an environment."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.iam_roles import policy_document


@dataclass(frozen=True)
class KmsKeyArgs:
    """Inputs of `KmsKey`."""

    deletion_window_days: int = 30
    """Days in which a deleted key can be restored, 7 to 30; afterwards everything encrypted with it is lost."""
    retain_on_delete: bool = False
    """Whether `pulumi destroy` keeps the key: a final snapshot cannot be read without it."""


class KmsKey(pulumi.ComponentResource):
    """Creates a KMS key, rotated yearly, for database, cache, images, secrets, logs and alarms. Costs 1 USD a month."""

    key_arn: pulumi.Output[str]

    def __init__(self, name: str, args: KmsKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:kms:KmsKey", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = aws.kms.Key(
            f"{name}-key",
            description=f"{name}: database, cache, images, secrets, logs, alarms",
            enable_key_rotation=True,
            deletion_window_in_days=args.deletion_window_days,
            policy=_key_policy(self),
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=args.retain_on_delete),
        )
        aws.kms.Alias(f"{name}-key", name=f"alias/{name}", target_key_id=key.key_id, opts=child)
        self.key_arn = key.arn
        self.register_outputs({"keyArn": self.key_arn})


def _key_policy(parent: pulumi.Resource) -> pulumi.Output[str]:
    """Returns a key policy that delegates to IAM, and names the AWS services that encrypt on their own behalf.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html and
    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html (publishers to an encrypted topic).
    """
    invoke = pulumi.InvokeOutputOptions(parent=parent)
    account = aws.get_caller_identity_output(opts=invoke).account_id
    region = aws.get_region_output(opts=invoke).region
    return policy_document(
        [
            {
                "Sid": "IamDecides",
                "Effect": "Allow",
                "Principal": {"AWS": pulumi.Output.format("arn:aws:iam::{0}:root", account)},
                "Action": "kms:*",
                "Resource": "*",  # in a key policy: this key
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
