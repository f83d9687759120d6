"""KMS: keys and their aliases."""

from __future__ import annotations

from typing import ClassVar

from slipway_local.provider.resource_type import Properties, ProviderContext, ResourceType, property_names, tag_list


class KmsKeyResource(ResourceType):
    type_name = "aws:kms/key:Key"
    inputs = property_names("description enableKeyRotation deletionWindowInDays policy region tags tagsAll")
    force_replacement = property_names("region")
    defaults: ClassVar = {"deletionWindowInDays": 30}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        kms = aws("kms", inputs.get("region"))
        policy = {"Policy": inputs["policy"]} if inputs.get("policy") else {}
        created = kms.create_key(
            Description=inputs.get("description", ""), Tags=tag_list(inputs, "TagKey", "TagValue"), **policy
        )["KeyMetadata"]
        if inputs.get("enableKeyRotation"):
            kms.enable_key_rotation(KeyId=created["KeyId"])
        return created["KeyId"], {"arn": created["Arn"], "keyId": created["KeyId"]}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        kms = aws("kms", state.get("region"))
        resource = kms.describe_key(KeyId=id)["KeyMetadata"]
        if resource["KeyState"] == "PendingDeletion":
            return None
        rotates = kms.get_key_rotation_status(KeyId=id)["KeyRotationEnabled"]
        return {
            "arn": resource["Arn"],
            "keyId": id,
            "description": resource["Description"],
            "enableKeyRotation": rotates,
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        kms = aws("kms", new.get("region"))
        if old.get("description") != new.get("description"):
            kms.update_key_description(KeyId=id, Description=new.get("description", ""))
        if new.get("policy") and old.get("policy") != new["policy"]:
            kms.put_key_policy(KeyId=id, PolicyName="default", Policy=new["policy"])
        call = kms.enable_key_rotation if new.get("enableKeyRotation") else kms.disable_key_rotation
        call(KeyId=id)
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        kms = aws("kms", state.get("region"))
        kms.schedule_key_deletion(KeyId=id, PendingWindowInDays=int(state.get("deletionWindowInDays", 30)))


class KmsAliasResource(ResourceType):
    type_name = "aws:kms/alias:Alias"
    inputs = property_names("name targetKeyId")
    force_replacement = property_names("name")
    name_property = ("name", 256)

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        aws("kms").create_alias(AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])
        return inputs["name"], {"arn": f"arn:aws:kms:{aws.region}:{aws.account}:{inputs['name']}"}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        aliases = [alias for alias in aws("kms").list_aliases()["Aliases"] if alias["AliasName"] == id]
        return {"name": id, "targetKeyId": aliases[0]["TargetKeyId"]} if aliases else None

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        aws("kms").update_alias(AliasName=id, TargetKeyId=new["targetKeyId"])
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("kms").delete_alias(AliasName=id)
