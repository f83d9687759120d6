"""Daily copies of the database in another region, for when this region or its backups are lost."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.iam_roles import create_service_role, policy_document

SOURCE_VAULT_RETENTION_DAYS = 2
"""Days in the vault of this region, before the copy: RDS's own backups cover a longer time."""


@dataclass(frozen=True)
class BackupCopiesArgs:
    """Inputs of `BackupCopies`."""

    database_arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    """Key of the vault in this region; the copies have a key of their own region."""
    region: str
    """Region of the copies."""
    retention_days: int = 35
    protect: bool = True
    """Whether a vault that holds backups is kept from deletion."""


class BackupCopies(pulumi.ComponentResource):
    """Backs the database up daily with AWS Backup and copies the backup to a vault of another region.

    Provisions: the other region's key and vault, a vault in this region, the plan, the role of AWS Backup. The other
    region's key is retained on deletion, as the copies may be. Costs 1 USD a month for the key, and each copy by its
    GB (`slipway cost`).

    Raises:
        pulumi.RunError: `region` is the region of the stack itself.
    """

    def __init__(self, name: str, args: BackupCopiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:backup:BackupCopies", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        if args.region == pulumi.Config("aws").get("region"):
            raise pulumi.RunError(
                f"backupCopyRegion is {args.region}, where the database is. Name another region: "
                "pulumi config set backupCopyRegion REGION"
            )
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        key = aws.kms.Key(
            f"{name}-copies",
            description=f"{name}: copies of the database",
            region=args.region,
            enable_key_rotation=True,
            deletion_window_in_days=30,
            policy=policy_document(
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
        copy_vault = aws.backup.Vault(
            f"{name}-copies", region=args.region, kms_key_arn=key.arn, force_destroy=not args.protect, opts=child
        )
        source_vault = aws.backup.Vault(
            f"{name}-backups", kms_key_arn=args.key_arn, force_destroy=not args.protect, opts=child
        )
        plan = aws.backup.Plan(
            f"{name}-copies",
            rules=[
                {
                    "rule_name": "daily",
                    "target_vault_name": source_vault.name,
                    "schedule": "cron(0 6 * * ? *)",  # clear of RDS's own backup window
                    "start_window": 60,  # minutes
                    "completion_window": 720,  # minutes
                    "lifecycle": {"delete_after": SOURCE_VAULT_RETENTION_DAYS},
                    "copy_actions": [
                        {"destination_vault_arn": copy_vault.arn, "lifecycle": {"delete_after": args.retention_days}},
                    ],
                }
            ],
            opts=child,
        )
        role, _ = create_service_role(f"{name}-backup", "backup.amazonaws.com", [], parent=self)
        attachment = aws.iam.RolePolicyAttachment(
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
            opts=pulumi.ResourceOptions(parent=self, depends_on=[attachment]),
        )
        self.register_outputs({"vaultArn": copy_vault.arn})
