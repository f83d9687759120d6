"""Copies of the database in another region, for the day when this one is lost, or somebody deletes what is here."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.components.roles import policy, service_role
from infra.settings import Settings

KEPT_HERE_DAYS = 2
"""Until the copy is made: RDS's own backups reach further back, and to any second."""


@dataclass(frozen=True)
class BackupCopiesArgs:
    """Inputs of `BackupCopies`."""

    database_arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    """Of what is kept here; the copies have a key of their region."""
    region: str
    days: int = 35
    protect: bool = True
    """Whether a vault that has something in it is not deleted."""

    @classmethod
    def of(cls, settings: Settings, *, key_arn: pulumi.Input[str], database_arn: pulumi.Input[str]) -> BackupCopiesArgs:
        """As a stack's settings have it."""
        return cls(database_arn, key_arn, settings.backup_copy_region, settings.backup_copy_days, settings.protect)


class BackupCopies(pulumi.ComponentResource):
    """AWS Backup takes the database each day and copies it to a vault of another region, under a key there.

    Provisions: that key and its vault, a vault here, the plan, the role that AWS Backup takes on. The key there
    outlives the stack, as copies may. Costs 1 USD a month for the key; each copy by its GB (`slipway cost`).
    """

    def __init__(self, name: str, args: BackupCopiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:backup:BackupCopies", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        here = pulumi.Config("aws").get("region")
        if args.region == here:
            raise pulumi.RunError(
                f"backupCopyRegion is {args.region}, where the database is: name another, for a copy is for the day "
                "when this region is lost"
            )
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        key = aws.kms.Key(
            f"{name}-copies",
            description=f"{name}: copies of the database",
            region=args.region,
            enable_key_rotation=True,
            deletion_window_in_days=30,
            policy=policy(
                [
                    {
                        "Sid": "IamDecides",
                        "Effect": "Allow",
                        "Principal": {"AWS": pulumi.Output.format("arn:aws:iam::{0}:root", account)},
                        "Action": "kms:*",
                        "Resource": "*",  # in a key's policy: this key
                    }
                ]
            ),
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=args.protect),
        )
        there = aws.backup.Vault(
            f"{name}-copies", region=args.region, kms_key_arn=key.arn, force_destroy=not args.protect, opts=child
        )
        vault = aws.backup.Vault(
            f"{name}-backups", kms_key_arn=args.key_arn, force_destroy=not args.protect, opts=child
        )
        plan = aws.backup.Plan(
            f"{name}-copies",
            rules=[
                {
                    "rule_name": "daily",
                    "target_vault_name": vault.name,
                    "schedule": "cron(0 6 * * ? *)",  # clear of RDS's own backup window
                    "start_window": 60,  # minutes
                    "completion_window": 720,  # minutes
                    "lifecycle": {"delete_after": KEPT_HERE_DAYS},
                    "copy_actions": [
                        {"destination_vault_arn": there.arn, "lifecycle": {"delete_after": args.days}},
                    ],
                }
            ],
            opts=child,
        )
        role, _ = service_role(f"{name}-backup", "backup.amazonaws.com", [], parent=self)
        may = aws.iam.RolePolicyAttachment(
            f"{name}-backup",
            role=role.name,
            policy_arn="arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup",
            opts=child,
        )
        aws.backup.Selection(
            f"{name}-database",
            plan_id=plan.id,
            iam_role_arn=role.arn,
            resources=[args.database_arn],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[may]),
        )
        self.register_outputs({"vaultArn": there.arn})
