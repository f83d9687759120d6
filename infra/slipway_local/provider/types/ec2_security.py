"""EC2: security groups and their standalone rules."""

from __future__ import annotations

from typing import Any, ClassVar

from slipway_local.provider.resource_type import (
    Properties,
    ProviderContext,
    ResourceType,
    UnsupportedOperation,
    property_names,
    tag_list,
    tag_map,
)


class SecurityGroupResource(ResourceType):
    """Its rules are resources of their own; AWS's open egress rule is taken away, as the official provider does."""

    type_name = "aws:ec2/securityGroup:SecurityGroup"
    inputs = property_names("name description vpcId tags tagsAll")
    force_replacement = property_names("name description vpcId")
    name_property = ("name", 255)
    defaults: ClassVar = {"description": "Managed by Pulumi"}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        created = aws("ec2").create_security_group(
            GroupName=inputs["name"], Description=inputs["description"], VpcId=inputs["vpcId"]
        )
        id = created["GroupId"]
        _revoke_all_rules(aws, id)
        if tag_list(inputs):
            aws("ec2").create_tags(Resources=[id], Tags=tag_list(inputs))
        return id, {"arn": f"arn:aws:ec2:{aws.region}:{aws.account}:security-group/{id}"}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        resource = _group(aws, id)
        if resource is None:
            return None
        tags = tag_map(resource.get("Tags"))
        return {
            "arn": f"arn:aws:ec2:{aws.region}:{aws.account}:security-group/{id}",
            "name": resource["GroupName"],
            "description": resource["Description"],
            "vpcId": resource["VpcId"],
            "tags": tags,
            "tagsAll": tags,
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        gone = [{"Key": key} for key in old.get("tagsAll") or {} if key not in (new.get("tagsAll") or {})]
        if gone:
            aws("ec2").delete_tags(Resources=[id], Tags=gone)
        if tag_list(new):
            aws("ec2").create_tags(Resources=[id], Tags=tag_list(new))
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("ec2").delete_security_group(GroupId=id)


class DefaultSecurityGroupResource(ResourceType):
    """Adopts the VPC's default group and empties it; AWS does not let it be deleted."""

    type_name = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
    inputs = property_names("vpcId ingress egress tags tagsAll")
    force_replacement = property_names("vpcId")

    def prepare(self, aws: ProviderContext, inputs: Properties) -> Properties:
        if inputs.get("ingress") or inputs.get("egress"):
            raise UnsupportedOperation("the local provider does a default security group without rules only")
        return inputs

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        mine = [{"Name": "vpc-id", "Values": [inputs["vpcId"]]}, {"Name": "group-name", "Values": ["default"]}]
        id = aws("ec2").describe_security_groups(Filters=mine)["SecurityGroups"][0]["GroupId"]
        _revoke_all_rules(aws, id)
        return id, {"arn": f"arn:aws:ec2:{aws.region}:{aws.account}:security-group/{id}"}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        resource = _group(aws, id)
        return resource and {
            "vpcId": resource["VpcId"],
            "ingress": [{"fromPort": r.get("FromPort")} for r in resource["IpPermissions"]],
            "egress": [{"fromPort": r.get("FromPort")} for r in resource["IpPermissionsEgress"]],
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        _revoke_all_rules(aws, id)
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        return


def _group(aws: ProviderContext, id: str) -> Any:
    groups = aws("ec2").describe_security_groups()["SecurityGroups"]
    return next((group for group in groups if group["GroupId"] == id), None)


def _revoke_all_rules(aws: ProviderContext, id: str) -> None:
    resource = _group(aws, id)
    if resource and resource["IpPermissions"]:
        aws("ec2").revoke_security_group_ingress(GroupId=id, IpPermissions=resource["IpPermissions"])
    if resource and resource["IpPermissionsEgress"]:
        aws("ec2").revoke_security_group_egress(GroupId=id, IpPermissions=resource["IpPermissionsEgress"])


SOURCE_INPUTS = ("cidrIpv4", "prefixListId", "referencedSecurityGroupId")


class _SecurityGroupRuleResource(ResourceType):
    """One rule of a group, by AWS's id of it."""

    egress: ClassVar[bool]
    inputs = property_names(
        "securityGroupId description ipProtocol fromPort toPort cidrIpv4 prefixListId referencedSecurityGroupId"
    )
    force_replacement = property_names("securityGroupId")
    delete_before_replace = True  # AWS refuses the same rule twice

    def must_replace(self, old: Properties, new: Properties) -> frozenset[str]:
        """AWS changes a rule in place, except for the kind of its source: a range of addresses, a list or a group."""
        old_source = {name for name in SOURCE_INPUTS if old.get(name)}
        new_source = {name for name in SOURCE_INPUTS if new.get(name)}
        return frozenset(old_source ^ new_source)

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        direction = "egress" if self.egress else "ingress"
        call = getattr(aws("ec2"), f"authorize_security_group_{direction}")
        created = call(GroupId=inputs["securityGroupId"], IpPermissions=[_permission(inputs)])
        id = created["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        return id, {"securityGroupRuleId": id}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        rules = aws("ec2").describe_security_group_rules()["SecurityGroupRules"]
        resource = next((r for r in rules if r["SecurityGroupRuleId"] == id), None)
        if resource is None:
            return None
        return {
            "securityGroupId": resource["GroupId"],
            "description": resource.get("Description"),
            "ipProtocol": resource["IpProtocol"],
            "fromPort": resource.get("FromPort"),
            "toPort": resource.get("ToPort"),
            "cidrIpv4": resource.get("CidrIpv4"),
            "prefixListId": resource.get("PrefixListId"),
            "referencedSecurityGroupId": (resource.get("ReferencedGroupInfo") or {}).get("GroupId"),
            "securityGroupRuleId": id,
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        aws("ec2").modify_security_group_rules(
            GroupId=new["securityGroupId"],
            SecurityGroupRules=[{"SecurityGroupRuleId": id, "SecurityGroupRule": _rule_request(new)}],
        )
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        direction = "egress" if self.egress else "ingress"
        call = getattr(aws("ec2"), f"revoke_security_group_{direction}")
        call(GroupId=state["securityGroupId"], SecurityGroupRuleIds=[id])


class SecurityGroupIngressRuleResource(_SecurityGroupRuleResource):
    type_name = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    egress = False


class SecurityGroupEgressRuleResource(_SecurityGroupRuleResource):
    type_name = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
    egress = True


def _permission(inputs: Properties) -> dict[str, Any]:
    about = {"Description": inputs["description"]} if inputs.get("description") else {}
    resource: dict[str, Any] = {"IpProtocol": inputs["ipProtocol"]}
    if inputs["ipProtocol"] != "-1":
        resource |= {"FromPort": inputs["fromPort"], "ToPort": inputs["toPort"]}
    if inputs.get("cidrIpv4"):
        resource["IpRanges"] = [{"CidrIp": inputs["cidrIpv4"], **about}]
    if inputs.get("prefixListId"):
        resource["PrefixListIds"] = [{"PrefixListId": inputs["prefixListId"], **about}]
    if inputs.get("referencedSecurityGroupId"):
        resource["UserIdGroupPairs"] = [{"GroupId": inputs["referencedSecurityGroupId"], **about}]
    return resource


def _rule_request(inputs: Properties) -> dict[str, Any]:
    """Returns a whole rule, for ModifySecurityGroupRules removes a description that it is not given."""
    has_ports = inputs["ipProtocol"] != "-1"
    request = {
        "IpProtocol": inputs["ipProtocol"],
        "FromPort": inputs["fromPort"] if has_ports else -1,
        "ToPort": inputs["toPort"] if has_ports else -1,
        "Description": inputs.get("description") or "",
        "CidrIpv4": inputs.get("cidrIpv4"),
        "PrefixListId": inputs.get("prefixListId"),
        "ReferencedGroupId": inputs.get("referencedSecurityGroupId"),
    }
    return {key: value for key, value in request.items() if value is not None}
