"""The functions of the AWS provider that the program calls."""

from __future__ import annotations

import base64
import os
import secrets
import string
from collections.abc import Callable

from infra.local.provider.kind import Context, Properties, tag_map

PLANNED_VPC = "SLIPWAY_PLANNED_VPC"
"""The VPC that a plan without an account takes every subnet to be of: there is nobody to ask."""

Function = Callable[[Context, Properties], Properties]


def _zones(aws: Context, given: Properties) -> Properties:
    names = [f"{aws.region}{letter}" for letter in "abc"]
    return {"id": aws.region, "names": names, "zoneIds": names, "groupNames": [aws.region]}


def _region(aws: Context, given: Properties) -> Properties:
    return {"id": aws.region, "region": aws.region, "name": aws.region, "endpoint": f"ec2.{aws.region}.amazonaws.com"}


def _caller(aws: Context, given: Properties) -> Properties:
    return {"id": aws.account, "accountId": aws.account, "arn": f"arn:aws:iam::{aws.account}:root", "userId": "local"}


def _partition(aws: Context, given: Properties) -> Properties:
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


def _random_password(aws: Context, given: Properties) -> Properties:
    """A new one each time, as AWS has it; made here, so that a preview needs no local AWS."""
    alphabet = string.ascii_letters + string.digits
    if not given.get("excludePunctuation"):
        alphabet += string.punctuation
    length = int(given.get("passwordLength") or 32)
    return {"id": aws.region, "randomPassword": "".join(secrets.choice(alphabet) for _ in range(length))}


def _subnet(aws: Context, given: Properties) -> Properties:
    """One that exists, by its id; in a plan without an account it is taken for what the settings say that it is."""
    planned = os.environ.get(PLANNED_VPC)
    if planned:
        return {
            "id": given["id"],
            "vpcId": planned,
            "availabilityZone": f"of {given['id']}",
            "cidrBlock": "10.0.0.0/24",
        }
    (found,) = aws("ec2").describe_subnets(SubnetIds=[given["id"]])["Subnets"]
    return {
        "id": found["SubnetId"],
        "vpcId": found["VpcId"],
        "availabilityZone": found["AvailabilityZone"],
        "cidrBlock": found["CidrBlock"],
        "tags": tag_map(found.get("Tags")),
    }


def _registry_token(aws: Context, given: Properties) -> Properties:
    """The local registry takes any password."""
    return {
        "id": aws.region,
        "userName": "AWS",
        "password": "local",
        "authorizationToken": base64.b64encode(b"AWS:local").decode(),
        "proxyEndpoint": f"http://localhost:{aws.port}",
        "expiresAt": "",
    }


INVOKES: dict[str, Function] = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:index/getRegion:getRegion": _region,
    "aws:ec2/getSubnet:getSubnet": _subnet,
    "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    "aws:index/getPartition:getPartition": _partition,
    "aws:secretsmanager/getRandomPassword:getRandomPassword": _random_password,
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": _registry_token,
}
