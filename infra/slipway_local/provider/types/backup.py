"""AWS Backup: vaults, plans, and what a plan takes. ministack keeps them and runs no plan: nothing is ever copied."""

from __future__ import annotations

from typing import Any

from slipway_local.provider.resource_type import Properties, ProviderContext, ResourceType, property_names


class BackupVaultResource(ResourceType):
    type_name = "aws:backup/vault:Vault"
    inputs = property_names("name kmsKeyArn forceDestroy region tags tagsAll")
    force_replacement = property_names("name kmsKeyArn region")
    name_property = ("name", 50)

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        created = aws("backup", inputs.get("region")).create_backup_vault(
            BackupVaultName=inputs["name"],
            EncryptionKeyArn=inputs["kmsKeyArn"],
            BackupVaultTags=inputs.get("tagsAll") or {},
        )
        return inputs["name"], {"arn": created["BackupVaultArn"]}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        resource = aws("backup", state.get("region")).describe_backup_vault(BackupVaultName=id)
        return {"name": id, "arn": resource["BackupVaultArn"], "kmsKeyArn": resource["EncryptionKeyArn"]}

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        return {}  # `forceDestroy` is the provider's own

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("backup", state.get("region")).delete_backup_vault(BackupVaultName=id)


class BackupPlanResource(ResourceType):
    type_name = "aws:backup/plan:Plan"
    inputs = property_names("name rules tags tagsAll")
    name_property = ("name", 50)

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        created = aws("backup").create_backup_plan(BackupPlan=_plan(inputs), BackupPlanTags=inputs.get("tagsAll") or {})
        return created["BackupPlanId"], {"arn": created["BackupPlanArn"], "version": created["VersionId"]}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        resource = aws("backup").get_backup_plan(BackupPlanId=id)
        return {"name": resource["BackupPlan"]["BackupPlanName"], "arn": resource["BackupPlanArn"]}

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        return {"version": aws("backup").update_backup_plan(BackupPlanId=id, BackupPlan=_plan(new))["VersionId"]}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("backup").delete_backup_plan(BackupPlanId=id)


class BackupSelectionResource(ResourceType):
    type_name = "aws:backup/selection:Selection"
    inputs = property_names("name planId iamRoleArn resources")
    force_replacement = property_names("name planId iamRoleArn resources")
    name_property = ("name", 50)

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        chosen = {"SelectionName": inputs["name"], "IamRoleArn": inputs["iamRoleArn"], "Resources": inputs["resources"]}
        created = aws("backup").create_backup_selection(BackupPlanId=inputs["planId"], BackupSelection=chosen)
        return created["SelectionId"], {}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        resource = aws("backup").get_backup_selection(BackupPlanId=state["planId"], SelectionId=id)["BackupSelection"]
        return {
            "name": resource["SelectionName"],
            "iamRoleArn": resource["IamRoleArn"],
            "resources": resource["Resources"],
        }

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("backup").delete_backup_selection(BackupPlanId=state["planId"], SelectionId=id)


def _plan(inputs: Properties) -> dict[str, Any]:
    return {"BackupPlanName": inputs["name"], "Rules": [_rule(rule) for rule in inputs["rules"]]}


def _rule(inputs: Properties) -> dict[str, Any]:
    return {
        "RuleName": inputs["ruleName"],
        "TargetBackupVaultName": inputs["targetVaultName"],
        "ScheduleExpression": inputs["schedule"],
        "StartWindowMinutes": int(inputs["startWindow"]),
        "CompletionWindowMinutes": int(inputs["completionWindow"]),
        "Lifecycle": {"DeleteAfterDays": int(inputs["lifecycle"]["deleteAfter"])},
        "CopyActions": [
            {
                "DestinationBackupVaultArn": copy["destinationVaultArn"],
                "Lifecycle": {"DeleteAfterDays": int(copy["lifecycle"]["deleteAfter"])},
            }
            for copy in inputs["copyActions"]
        ],
    }
