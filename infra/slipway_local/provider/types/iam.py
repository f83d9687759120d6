"""IAM: roles and their policies."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from slipway_local.provider.resource_type import (
    Properties,
    ProviderContext,
    ResourceType,
    property_names,
    tag_list,
    tag_map,
)


class IamRoleResource(ResourceType):
    type_name = "aws:iam/role:Role"
    inputs = property_names(
        "name assumeRolePolicy description path maxSessionDuration permissionsBoundary tags tagsAll"
    )
    force_replacement = property_names("name path")
    name_property = ("name", 64)

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        optional = {
            "Description": inputs.get("description"),
            "Path": inputs.get("path"),
            "MaxSessionDuration": inputs.get("maxSessionDuration"),
            "PermissionsBoundary": inputs.get("permissionsBoundary"),
        }
        created = aws("iam").create_role(
            RoleName=inputs["name"],
            AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
            Tags=tag_list(inputs),
            **{key: value for key, value in optional.items() if value is not None},
        )["Role"]
        return inputs["name"], {"arn": created["Arn"], "uniqueId": created["RoleId"]}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        try:
            resource = aws("iam").get_role(RoleName=id)["Role"]
        except aws("iam").exceptions.NoSuchEntityException:
            return None
        tags = tag_map(resource.get("Tags"))
        return {
            "name": id,
            "arn": resource["Arn"],
            "assumeRolePolicy": _document(resource["AssumeRolePolicyDocument"]),
            "description": resource.get("Description"),
            "path": resource.get("Path"),
            "tags": tags,
            "tagsAll": tags,
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        aws("iam").update_assume_role_policy(RoleName=id, PolicyDocument=new["assumeRolePolicy"])
        gone = [key for key in old.get("tagsAll") or {} if key not in (new.get("tagsAll") or {})]
        if gone:
            aws("iam").untag_role(RoleName=id, TagKeys=gone)
        if tag_list(new):
            aws("iam").tag_role(RoleName=id, Tags=tag_list(new))
        aws("iam").update_role(RoleName=id, Description=new.get("description", ""))
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("iam").delete_role(RoleName=id)


class RolePolicyResource(ResourceType):
    """An inline policy; its id is role:name."""

    type_name = "aws:iam/rolePolicy:RolePolicy"
    inputs = property_names("role name policy")
    force_replacement = property_names("role name")
    name_property = ("name", 128)

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        self.update(aws, "", {}, inputs)
        return f"{inputs['role']}:{inputs['name']}", {}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        role, _, name = id.partition(":")
        try:
            resource = aws("iam").get_role_policy(RoleName=role, PolicyName=name)
        except aws("iam").exceptions.NoSuchEntityException:
            return None
        return {"role": role, "name": name, "policy": _document(resource["PolicyDocument"])}

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        aws("iam").put_role_policy(RoleName=new["role"], PolicyName=new["name"], PolicyDocument=new["policy"])
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        role, _, name = id.partition(":")
        aws("iam").delete_role_policy(RoleName=role, PolicyName=name)


class RolePolicyAttachmentResource(ResourceType):
    type_name = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    inputs = property_names("role policyArn")
    force_replacement = inputs

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        aws("iam").attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
        return f"{inputs['role']}/{inputs['policyArn']}", {}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        role, _, policy = id.partition("/")
        attached = aws("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        return {"role": role, "policyArn": policy} if any(p["PolicyArn"] == policy for p in attached) else None

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        role, _, policy = id.partition("/")
        aws("iam").detach_role_policy(RoleName=role, PolicyArn=policy)


class OpenIdConnectProviderResource(ResourceType):
    """The official provider's `url` output lacks the scheme; here it is as the program wrote it."""

    type_name = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
    inputs = property_names("url clientIdLists thumbprintLists tags tagsAll")
    force_replacement = property_names("url")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        arn = aws("iam").create_open_id_connect_provider(
            Url=inputs["url"],
            ClientIDList=inputs["clientIdLists"],
            ThumbprintList=inputs.get("thumbprintLists") or [],
            Tags=tag_list(inputs),
        )["OpenIDConnectProviderArn"]
        return arn, {"arn": arn}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        try:
            resource = aws("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=id)
        except aws("iam").exceptions.NoSuchEntityException:
            return None
        tags = tag_map(resource.get("Tags"))
        return {
            "arn": id,
            "url": resource["Url"],
            "clientIdLists": resource["ClientIDList"],
            "thumbprintLists": resource["ThumbprintList"],
            "tags": tags,
            "tagsAll": tags,
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        # The emulator has none of the calls that change one. Made again it has the same ARN, for that is its URL.
        self.delete(aws, id, old)
        return self.create(aws, new)[1]

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("iam").delete_open_id_connect_provider(OpenIDConnectProviderArn=id)


def _document(resource: Any) -> str:
    return json.dumps(resource) if isinstance(resource, dict) else unquote(resource)
