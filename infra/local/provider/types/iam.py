"""IAM: roles and their policies."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from infra.local.provider.kind import Context, Kind, Properties, set_of, tag_list, tag_map


class Role(Kind):
    type_name = "aws:iam/role:Role"
    inputs = set_of("name assumeRolePolicy description path maxSessionDuration permissionsBoundary tags tagsAll")
    replace = set_of("name path")
    named = ("name", 64)

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        optional = {
            "Description": given.get("description"),
            "Path": given.get("path"),
            "MaxSessionDuration": given.get("maxSessionDuration"),
            "PermissionsBoundary": given.get("permissionsBoundary"),
        }
        made = aws("iam").create_role(
            RoleName=given["name"],
            AssumeRolePolicyDocument=given["assumeRolePolicy"],
            Tags=tag_list(given),
            **{key: value for key, value in optional.items() if value is not None},
        )["Role"]
        return given["name"], {"arn": made["Arn"], "uniqueId": made["RoleId"]}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        try:
            found = aws("iam").get_role(RoleName=id)["Role"]
        except aws("iam").exceptions.NoSuchEntityException:
            return None
        tags = tag_map(found.get("Tags"))
        return {
            "name": id,
            "arn": found["Arn"],
            "assumeRolePolicy": _document(found["AssumeRolePolicyDocument"]),
            "description": found.get("Description"),
            "path": found.get("Path"),
            "tags": tags,
            "tagsAll": tags,
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        aws("iam").update_assume_role_policy(RoleName=id, PolicyDocument=new["assumeRolePolicy"])
        gone = [key for key in old.get("tagsAll") or {} if key not in (new.get("tagsAll") or {})]
        if gone:
            aws("iam").untag_role(RoleName=id, TagKeys=gone)
        if tag_list(new):
            aws("iam").tag_role(RoleName=id, Tags=tag_list(new))
        aws("iam").update_role(RoleName=id, Description=new.get("description", ""))
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("iam").delete_role(RoleName=id)


class RolePolicy(Kind):
    """An inline policy; its id is role:name."""

    type_name = "aws:iam/rolePolicy:RolePolicy"
    inputs = set_of("role name policy")
    replace = set_of("role name")
    named = ("name", 128)

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        self.update(aws, "", {}, given)
        return f"{given['role']}:{given['name']}", {}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        role, _, name = id.partition(":")
        try:
            found = aws("iam").get_role_policy(RoleName=role, PolicyName=name)
        except aws("iam").exceptions.NoSuchEntityException:
            return None
        return {"role": role, "name": name, "policy": _document(found["PolicyDocument"])}

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        aws("iam").put_role_policy(RoleName=new["role"], PolicyName=new["name"], PolicyDocument=new["policy"])
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        role, _, name = id.partition(":")
        aws("iam").delete_role_policy(RoleName=role, PolicyName=name)


class RolePolicyAttachment(Kind):
    type_name = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    inputs = set_of("role policyArn")
    replace = inputs

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        aws("iam").attach_role_policy(RoleName=given["role"], PolicyArn=given["policyArn"])
        return f"{given['role']}/{given['policyArn']}", {}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        role, _, policy = id.partition("/")
        attached = aws("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        return {"role": role, "policyArn": policy} if any(p["PolicyArn"] == policy for p in attached) else None

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        role, _, policy = id.partition("/")
        aws("iam").detach_role_policy(RoleName=role, PolicyArn=policy)


class OpenIdConnectProvider(Kind):
    """The official provider's `url` output lacks the scheme; here it is as the program wrote it."""

    type_name = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
    inputs = set_of("url clientIdLists thumbprintLists tags tagsAll")
    replace = set_of("url")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        arn = aws("iam").create_open_id_connect_provider(
            Url=given["url"],
            ClientIDList=given["clientIdLists"],
            ThumbprintList=given.get("thumbprintLists") or [],
            Tags=tag_list(given),
        )["OpenIDConnectProviderArn"]
        return arn, {"arn": arn}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        try:
            found = aws("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=id)
        except aws("iam").exceptions.NoSuchEntityException:
            return None
        tags = tag_map(found.get("Tags"))
        return {
            "arn": id,
            "url": found["Url"],
            "clientIdLists": found["ClientIDList"],
            "thumbprintLists": found["ThumbprintList"],
            "tags": tags,
            "tagsAll": tags,
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        # The emulator has none of the calls that change one. Made again it has the same ARN, for that is its URL.
        self.delete(aws, id, old)
        return self.create(aws, new)[1]

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("iam").delete_open_id_connect_provider(OpenIDConnectProviderArn=id)


def _document(found: Any) -> str:
    return json.dumps(found) if isinstance(found, dict) else unquote(found)
