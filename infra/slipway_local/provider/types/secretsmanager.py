"""Secrets Manager."""

from __future__ import annotations

from typing import ClassVar

from slipway_local.provider.resource_type import Properties, ProviderContext, ResourceType, property_names, tag_list


class SecretResource(ResourceType):
    type_name = "aws:secretsmanager/secret:Secret"
    inputs = property_names("name description kmsKeyId recoveryWindowInDays tags tagsAll")
    force_replacement = property_names("name")
    name_property = ("name", 512)
    defaults: ClassVar = {"recoveryWindowInDays": 30}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        key = {"KmsKeyId": inputs["kmsKeyId"]} if inputs.get("kmsKeyId") else {}
        created = aws("secretsmanager").create_secret(
            Name=inputs["name"], Description=inputs.get("description", ""), Tags=tag_list(inputs), **key
        )
        return created["ARN"], {"arn": created["ARN"]}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        resource = aws("secretsmanager").describe_secret(SecretId=id)
        if resource.get("DeletedDate"):
            return None
        return {
            "arn": resource["ARN"],
            "name": resource["Name"],
            "description": resource.get("Description"),
            "kmsKeyId": resource.get("KmsKeyId"),
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        key = {"KmsKeyId": new["kmsKeyId"]} if new.get("kmsKeyId") else {}
        aws("secretsmanager").update_secret(SecretId=id, Description=new.get("description", ""), **key)
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        """With no window the name is free again at once; a local stack always wants that."""
        aws("secretsmanager").delete_secret(SecretId=id, ForceDeleteWithoutRecovery=True)


class SecretVersionResource(ResourceType):
    type_name = "aws:secretsmanager/secretVersion:SecretVersion"
    inputs = property_names("secretId secretString")
    force_replacement = inputs
    secret_properties = property_names("secretString")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        created = aws("secretsmanager").put_secret_value(
            SecretId=inputs["secretId"], SecretString=inputs["secretString"]
        )
        return f"{inputs['secretId']}|{created['VersionId']}", {
            "arn": created["ARN"],
            "secretArn": created["ARN"],
            "versionId": created["VersionId"],
        }

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        secret, _, version = id.partition("|")
        resource = aws("secretsmanager").get_secret_value(SecretId=secret, VersionId=version)
        return {
            "secretId": secret,
            "secretString": resource["SecretString"],
            "arn": resource["ARN"],
            "secretArn": resource["ARN"],
            "versionId": version,
        }

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        """Do nothing: a version goes with its secret; AWS has no call for one alone."""
