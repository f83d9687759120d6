"""Secrets Manager."""

from __future__ import annotations

from typing import ClassVar

from infra.local.provider.kind import Context, Kind, Properties, set_of, tag_list


class Secret(Kind):
    type_name = "aws:secretsmanager/secret:Secret"
    inputs = set_of("name description kmsKeyId recoveryWindowInDays tags tagsAll")
    replace = set_of("name")
    named = ("name", 512)
    defaults: ClassVar = {"recoveryWindowInDays": 30}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        key = {"KmsKeyId": given["kmsKeyId"]} if given.get("kmsKeyId") else {}
        made = aws("secretsmanager").create_secret(
            Name=given["name"], Description=given.get("description", ""), Tags=tag_list(given), **key
        )
        return made["ARN"], {"arn": made["ARN"]}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        found = aws("secretsmanager").describe_secret(SecretId=id)
        if found.get("DeletedDate"):
            return None
        return {
            "arn": found["ARN"],
            "name": found["Name"],
            "description": found.get("Description"),
            "kmsKeyId": found.get("KmsKeyId"),
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        key = {"KmsKeyId": new["kmsKeyId"]} if new.get("kmsKeyId") else {}
        aws("secretsmanager").update_secret(SecretId=id, Description=new.get("description", ""), **key)
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        """With no window the name is free again at once; a local stack always wants that."""
        aws("secretsmanager").delete_secret(SecretId=id, ForceDeleteWithoutRecovery=True)


class SecretVersion(Kind):
    type_name = "aws:secretsmanager/secretVersion:SecretVersion"
    inputs = set_of("secretId secretString")
    replace = inputs
    secret = set_of("secretString")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        made = aws("secretsmanager").put_secret_value(SecretId=given["secretId"], SecretString=given["secretString"])
        return f"{given['secretId']}|{made['VersionId']}", {
            "arn": made["ARN"],
            "secretArn": made["ARN"],
            "versionId": made["VersionId"],
        }

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        secret, _, version = id.partition("|")
        found = aws("secretsmanager").get_secret_value(SecretId=secret, VersionId=version)
        return {
            "secretId": secret,
            "secretString": found["SecretString"],
            "arn": found["ARN"],
            "secretArn": found["ARN"],
            "versionId": version,
        }

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        """A version goes with its secret; AWS has no call for one alone."""
