"""AWS Backup: vaults, plans, and what a plan takes. ministack keeps them and runs no plan: nothing is ever copied."""

from __future__ import annotations

from typing import Any

from infra.local.provider.kind import Context, Kind, Properties, set_of


class Vault(Kind):
    type_name = "aws:backup/vault:Vault"
    inputs = set_of("name kmsKeyArn forceDestroy region tags tagsAll")
    replace = set_of("name kmsKeyArn region")
    named = ("name", 50)

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        made = aws("backup", given.get("region")).create_backup_vault(
            BackupVaultName=given["name"],
            EncryptionKeyArn=given["kmsKeyArn"],
            BackupVaultTags=given.get("tagsAll") or {},
        )
        return given["name"], {"arn": made["BackupVaultArn"]}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        found = aws("backup", known.get("region")).describe_backup_vault(BackupVaultName=id)
        return {"name": id, "arn": found["BackupVaultArn"], "kmsKeyArn": found["EncryptionKeyArn"]}

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        return {}  # `forceDestroy` is the provider's own

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("backup", known.get("region")).delete_backup_vault(BackupVaultName=id)


class Plan(Kind):
    type_name = "aws:backup/plan:Plan"
    inputs = set_of("name rules tags tagsAll")
    named = ("name", 50)

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        made = aws("backup").create_backup_plan(BackupPlan=_plan(given), BackupPlanTags=given.get("tagsAll") or {})
        return made["BackupPlanId"], {"arn": made["BackupPlanArn"], "version": made["VersionId"]}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        found = aws("backup").get_backup_plan(BackupPlanId=id)
        return {"name": found["BackupPlan"]["BackupPlanName"], "arn": found["BackupPlanArn"]}

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        return {"version": aws("backup").update_backup_plan(BackupPlanId=id, BackupPlan=_plan(new))["VersionId"]}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("backup").delete_backup_plan(BackupPlanId=id)


class Selection(Kind):
    type_name = "aws:backup/selection:Selection"
    inputs = set_of("name planId iamRoleArn resources")
    replace = set_of("name planId iamRoleArn resources")
    named = ("name", 50)

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        chosen = {"SelectionName": given["name"], "IamRoleArn": given["iamRoleArn"], "Resources": given["resources"]}
        made = aws("backup").create_backup_selection(BackupPlanId=given["planId"], BackupSelection=chosen)
        return made["SelectionId"], {}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        found = aws("backup").get_backup_selection(BackupPlanId=known["planId"], SelectionId=id)["BackupSelection"]
        return {"name": found["SelectionName"], "iamRoleArn": found["IamRoleArn"], "resources": found["Resources"]}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("backup").delete_backup_selection(BackupPlanId=known["planId"], SelectionId=id)


def _plan(given: Properties) -> dict[str, Any]:
    return {"BackupPlanName": given["name"], "Rules": [_rule(rule) for rule in given["rules"]]}


def _rule(given: Properties) -> dict[str, Any]:
    return {
        "RuleName": given["ruleName"],
        "TargetBackupVaultName": given["targetVaultName"],
        "ScheduleExpression": given["schedule"],
        "StartWindowMinutes": int(given["startWindow"]),
        "CompletionWindowMinutes": int(given["completionWindow"]),
        "Lifecycle": {"DeleteAfterDays": int(given["lifecycle"]["deleteAfter"])},
        "CopyActions": [
            {
                "DestinationBackupVaultArn": copy["destinationVaultArn"],
                "Lifecycle": {"DeleteAfterDays": int(copy["lifecycle"]["deleteAfter"])},
            }
            for copy in given["copyActions"]
        ],
    }
