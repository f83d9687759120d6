"""KMS: keys and their aliases."""

from __future__ import annotations

from typing import ClassVar

from infra.local.provider.kind import Context, Kind, Properties, set_of, tag_list


class Key(Kind):
    type_name = "aws:kms/key:Key"
    inputs = set_of("description enableKeyRotation deletionWindowInDays policy region tags tagsAll")
    replace = set_of("region")
    defaults: ClassVar = {"deletionWindowInDays": 30}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        kms = aws("kms", given.get("region"))
        policy = {"Policy": given["policy"]} if given.get("policy") else {}
        made = kms.create_key(
            Description=given.get("description", ""), Tags=tag_list(given, "TagKey", "TagValue"), **policy
        )["KeyMetadata"]
        if given.get("enableKeyRotation"):
            kms.enable_key_rotation(KeyId=made["KeyId"])
        return made["KeyId"], {"arn": made["Arn"], "keyId": made["KeyId"]}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        kms = aws("kms", known.get("region"))
        found = kms.describe_key(KeyId=id)["KeyMetadata"]
        if found["KeyState"] == "PendingDeletion":
            return None
        rotates = kms.get_key_rotation_status(KeyId=id)["KeyRotationEnabled"]
        return {"arn": found["Arn"], "keyId": id, "description": found["Description"], "enableKeyRotation": rotates}

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        kms = aws("kms", new.get("region"))
        if old.get("description") != new.get("description"):
            kms.update_key_description(KeyId=id, Description=new.get("description", ""))
        if new.get("policy") and old.get("policy") != new["policy"]:
            kms.put_key_policy(KeyId=id, PolicyName="default", Policy=new["policy"])
        call = kms.enable_key_rotation if new.get("enableKeyRotation") else kms.disable_key_rotation
        call(KeyId=id)
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        kms = aws("kms", known.get("region"))
        kms.schedule_key_deletion(KeyId=id, PendingWindowInDays=int(known.get("deletionWindowInDays", 30)))


class Alias(Kind):
    type_name = "aws:kms/alias:Alias"
    inputs = set_of("name targetKeyId")
    replace = set_of("name")
    named = ("name", 256)

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        aws("kms").create_alias(AliasName=given["name"], TargetKeyId=given["targetKeyId"])
        return given["name"], {"arn": f"arn:aws:kms:{aws.region}:{aws.account}:{given['name']}"}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        found = [alias for alias in aws("kms").list_aliases()["Aliases"] if alias["AliasName"] == id]
        return {"name": id, "targetKeyId": found[0]["TargetKeyId"]} if found else None

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        aws("kms").update_alias(AliasName=id, TargetKeyId=new["targetKeyId"])
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("kms").delete_alias(AliasName=id)
