"""EC2: security groups and their standalone rules."""

from __future__ import annotations

from typing import Any, ClassVar

from infra.local.provider.kind import Context, Kind, Properties, Refused, set_of, tag_list, tag_map


class SecurityGroup(Kind):
    """Its rules are resources of their own; AWS's open egress rule is taken away, as the official provider does."""

    type_name = "aws:ec2/securityGroup:SecurityGroup"
    inputs = set_of("name description vpcId tags tagsAll")
    replace = set_of("name description vpcId")
    named = ("name", 255)
    defaults: ClassVar = {"description": "Managed by Pulumi"}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        made = aws("ec2").create_security_group(
            GroupName=given["name"], Description=given["description"], VpcId=given["vpcId"]
        )
        id = made["GroupId"]
        _empty(aws, id)
        if tag_list(given):
            aws("ec2").create_tags(Resources=[id], Tags=tag_list(given))
        return id, {"arn": f"arn:aws:ec2:{aws.region}:{aws.account}:security-group/{id}"}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        found = _group(aws, id)
        if found is None:
            return None
        tags = tag_map(found.get("Tags"))
        return {
            "arn": f"arn:aws:ec2:{aws.region}:{aws.account}:security-group/{id}",
            "name": found["GroupName"],
            "description": found["Description"],
            "vpcId": found["VpcId"],
            "tags": tags,
            "tagsAll": tags,
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        gone = [{"Key": key} for key in old.get("tagsAll") or {} if key not in (new.get("tagsAll") or {})]
        if gone:
            aws("ec2").delete_tags(Resources=[id], Tags=gone)
        if tag_list(new):
            aws("ec2").create_tags(Resources=[id], Tags=tag_list(new))
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("ec2").delete_security_group(GroupId=id)


class DefaultSecurityGroup(Kind):
    """Adopts the VPC's default group and empties it; AWS does not let it be deleted."""

    type_name = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
    inputs = set_of("vpcId ingress egress tags tagsAll")
    replace = set_of("vpcId")

    def prepare(self, aws: Context, given: Properties) -> Properties:
        if given.get("ingress") or given.get("egress"):
            raise Refused("the local provider does a default security group without rules only")
        return given

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        mine = [{"Name": "vpc-id", "Values": [given["vpcId"]]}, {"Name": "group-name", "Values": ["default"]}]
        id = aws("ec2").describe_security_groups(Filters=mine)["SecurityGroups"][0]["GroupId"]
        _empty(aws, id)
        return id, {"arn": f"arn:aws:ec2:{aws.region}:{aws.account}:security-group/{id}"}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        found = _group(aws, id)
        return found and {
            "vpcId": found["VpcId"],
            "ingress": [{"fromPort": r.get("FromPort")} for r in found["IpPermissions"]],
            "egress": [{"fromPort": r.get("FromPort")} for r in found["IpPermissionsEgress"]],
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        _empty(aws, id)
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        return


def _group(aws: Context, id: str) -> Any:
    groups = aws("ec2").describe_security_groups()["SecurityGroups"]
    return next((group for group in groups if group["GroupId"] == id), None)


def _empty(aws: Context, id: str) -> None:
    found = _group(aws, id)
    if found and found["IpPermissions"]:
        aws("ec2").revoke_security_group_ingress(GroupId=id, IpPermissions=found["IpPermissions"])
    if found and found["IpPermissionsEgress"]:
        aws("ec2").revoke_security_group_egress(GroupId=id, IpPermissions=found["IpPermissionsEgress"])


class _Rule(Kind):
    """One rule of a group, by AWS's id of it."""

    egress: ClassVar[bool]
    inputs = set_of(
        "securityGroupId description ipProtocol fromPort toPort cidrIpv4 prefixListId referencedSecurityGroupId"
    )
    replace = inputs
    delete_first = True  # AWS refuses the same rule twice

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        direction = "egress" if self.egress else "ingress"
        call = getattr(aws("ec2"), f"authorize_security_group_{direction}")
        made = call(GroupId=given["securityGroupId"], IpPermissions=[_permission(given)])
        id = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        return id, {"securityGroupRuleId": id}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        rules = aws("ec2").describe_security_group_rules()["SecurityGroupRules"]
        found = next((r for r in rules if r["SecurityGroupRuleId"] == id), None)
        if found is None:
            return None
        return {
            "securityGroupId": found["GroupId"],
            "description": found.get("Description"),
            "ipProtocol": found["IpProtocol"],
            "fromPort": found.get("FromPort"),
            "toPort": found.get("ToPort"),
            "cidrIpv4": found.get("CidrIpv4"),
            "prefixListId": found.get("PrefixListId"),
            "referencedSecurityGroupId": (found.get("ReferencedGroupInfo") or {}).get("GroupId"),
            "securityGroupRuleId": id,
        }

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        direction = "egress" if self.egress else "ingress"
        call = getattr(aws("ec2"), f"revoke_security_group_{direction}")
        call(GroupId=known["securityGroupId"], SecurityGroupRuleIds=[id])


class SecurityGroupIngressRule(_Rule):
    type_name = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    egress = False


class SecurityGroupEgressRule(_Rule):
    type_name = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
    egress = True


def _permission(given: Properties) -> dict[str, Any]:
    about = {"Description": given["description"]} if given.get("description") else {}
    found: dict[str, Any] = {"IpProtocol": given["ipProtocol"]}
    if given["ipProtocol"] != "-1":
        found |= {"FromPort": given["fromPort"], "ToPort": given["toPort"]}
    if given.get("cidrIpv4"):
        found["IpRanges"] = [{"CidrIp": given["cidrIpv4"], **about}]
    if given.get("prefixListId"):
        found["PrefixListIds"] = [{"PrefixListId": given["prefixListId"], **about}]
    if given.get("referencedSecurityGroupId"):
        found["UserIdGroupPairs"] = [{"GroupId": given["referencedSecurityGroupId"], **about}]
    return found
