"""The functions of the AWS provider that the program calls."""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Callable

from slipway_local.provider.resource_type import Properties, ProviderContext, tag_map

InvokeFunction = Callable[[ProviderContext, Properties], Properties]


def _get_availability_zones(aws: ProviderContext, inputs: Properties) -> Properties:
    names = [f"{aws.region}{letter}" for letter in "abc"]
    return {"id": aws.region, "names": names, "zoneIds": names, "groupNames": [aws.region]}


def _get_region(aws: ProviderContext, inputs: Properties) -> Properties:
    return {"id": aws.region, "region": aws.region, "name": aws.region, "endpoint": f"ec2.{aws.region}.amazonaws.com"}


def _get_caller_identity(aws: ProviderContext, inputs: Properties) -> Properties:
    return {"id": aws.account, "accountId": aws.account, "arn": f"arn:aws:iam::{aws.account}:root", "userId": "local"}


def _get_partition(aws: ProviderContext, inputs: Properties) -> Properties:
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


def _get_random_password(aws: ProviderContext, inputs: Properties) -> Properties:
    """Returns a new password each time, as AWS does; generated here, so that a preview needs no local AWS."""
    alphabet = string.ascii_letters + string.digits
    if not inputs.get("excludePunctuation"):
        alphabet += string.punctuation
    length = int(inputs.get("passwordLength") or 32)
    return {"id": aws.region, "randomPassword": "".join(secrets.choice(alphabet) for _ in range(length))}


def _get_subnet(aws: ProviderContext, inputs: Properties) -> Properties:
    """Returns the subnet with this id."""
    (found,) = aws("ec2").describe_subnets(SubnetIds=[inputs["id"]])["Subnets"]
    return {
        "id": found["SubnetId"],
        "vpcId": found["VpcId"],
        "availabilityZone": found["AvailabilityZone"],
        "cidrBlock": found["CidrBlock"],
        "tags": tag_map(found.get("Tags")),
    }


def _get_managed_prefix_list(aws: ProviderContext, inputs: Properties) -> Properties:
    """Returns the list of addresses with this name; without its entries."""
    by_name = [{"Name": "prefix-list-name", "Values": [inputs["name"]]}]
    (found,) = aws("ec2").describe_managed_prefix_lists(Filters=by_name)["PrefixLists"]
    return {"id": found["PrefixListId"], "name": found["PrefixListName"], "arn": found["PrefixListArn"]}


def _get_authorization_token(aws: ProviderContext, inputs: Properties) -> Properties:
    """Returns any password, for the local registry takes it; in a role's session the role's own, if it may have one."""
    encoded = base64.b64encode(b"AWS:local").decode()
    if aws.has_role:
        (data,) = aws("ecr").get_authorization_token()["authorizationData"]
        encoded = data["authorizationToken"]
    return {
        "id": aws.region,
        "userName": "AWS",
        "password": base64.b64decode(encoded).decode().partition(":")[2],
        "authorizationToken": encoded,
        "proxyEndpoint": f"http://localhost:{aws.port}",
        "expiresAt": "",
    }


INVOKES: dict[str, InvokeFunction] = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": _get_availability_zones,
    "aws:index/getRegion:getRegion": _get_region,
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": _get_managed_prefix_list,
    "aws:ec2/getSubnet:getSubnet": _get_subnet,
    "aws:index/getCallerIdentity:getCallerIdentity": _get_caller_identity,
    "aws:index/getPartition:getPartition": _get_partition,
    "aws:secretsmanager/getRandomPassword:getRandomPassword": _get_random_password,
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": _get_authorization_token,
}
