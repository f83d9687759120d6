"""A role's rights as a table, and what of them was used."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from slipway.config.errors import SlipwayError
from slipway.pipeline.role_rights import find_role, list_rights, list_unused, read_policies
from slipway_local.rights.usage import read_uses
from tests.local.rights.conftest import LocalAws
from tests.local.rights.fakes import allow, deny, policy


def test_each_action_on_each_resource_is_a_row_with_its_uses() -> None:
    tagged = {"StringEquals": {"aws:RequestTag/Stack": "prod"}, "Null": {"aws:TagKeys": ["false"]}}
    document = policy(
        allow(["s3:Get*", "s3:PutObject"], ["arn:aws:s3:::a/*", "arn:aws:s3:::b/${aws:username}/*"]),
        allow("ecs:TagResource", Condition=tagged),
        deny("s3:*", "arn:aws:s3:::c/*"),
        {"Effect": "Allow", "NotAction": ["iam:*", "s3:*"], "NotResource": "arn:aws:ec2:*:*:vpc/*"},
    )
    uses = [
        ("s3:GetObject", "arn:aws:s3:::a/k"),
        ("S3:getBucketPolicy", "arn:aws:s3:::a/k"),
        ("s3:PutObject", "arn:aws:s3:::b/ana/k"),
        ("ecs:RunTask", "arn:aws:ecs:us-east-1:1:task-definition/f:1"),
        ("ec2:DeleteVpc", "arn:aws:ec2:us-east-1:1:vpc/vpc-1"),
    ]
    table = list_rights([("own", json.loads(document))], uses)
    assert [(row.effect, row.action, row.resource, row.uses) for row in table] == [
        ("Allow", "s3:Get*", "arn:aws:s3:::a/*", ("S3:getBucketPolicy", "s3:GetObject")),
        ("Allow", "s3:Get*", "arn:aws:s3:::b/${aws:username}/*", ()),
        ("Allow", "s3:PutObject", "arn:aws:s3:::a/*", ()),
        ("Allow", "s3:PutObject", "arn:aws:s3:::b/${aws:username}/*", ("s3:PutObject",)),
        ("Allow", "ecs:TagResource", "*", ()),
        ("Deny", "s3:*", "arn:aws:s3:::c/*", ()),
        ("Allow", "all but iam:*, s3:*", "all but arn:aws:ec2:*:*:vpc/*", ("ecs:RunTask",)),
    ]
    assert {row.policy for row in table} == {"own"}
    assert table[4].condition == 'StringEquals aws:RequestTag/Stack = prod; Null aws:TagKeys = ["false"]'
    assert [(row.action, row.resource) for row in list_unused(table)] == [
        ("s3:Get*", "arn:aws:s3:::b/${aws:username}/*"),
        ("s3:PutObject", "arn:aws:s3:::a/*"),
        ("ecs:TagResource", "*"),
    ]


def test_a_roles_policies_are_read_from_iam(aws: LocalAws, unique: Callable[[str], str]) -> None:
    iam, name = aws.client("iam"), unique("reported")
    arn = aws.role(name, allow("s3:ListAllMyBuckets"), allow("s3:CreateBucket"))
    attached = iam.create_policy(PolicyName=unique("attached"), PolicyDocument=policy(allow("sqs:ListQueues")))
    iam.attach_role_policy(RoleName=name, PolicyArn=attached["Policy"]["Arn"])
    aws.as_role("s3", arn).list_buckets()
    uses = [(use.action, use.resource) for use in read_uses(aws.usage) if use.role == arn and use.allowed]
    table = list_rights(read_policies(iam, name), uses)
    assert [(row.policy, row.action) for row in table] == [
        ("own", "s3:ListAllMyBuckets"),
        ("own", "s3:CreateBucket"),
        (attached["Policy"]["PolicyName"], "sqs:ListQueues"),
    ]
    assert [row.action for row in list_unused(table)] == ["s3:CreateBucket", "sqs:ListQueues"]


def test_a_stacks_role_is_found_by_the_middle_of_its_name_by_its_name_and_by_its_arn(
    aws: LocalAws, unique: Callable[[str], str]
) -> None:
    stack = unique("shop")
    name = f"{stack}-web-task-0123abc"
    arn = aws.role(name)
    iam = aws.client("iam")
    assert {find_role(iam, stack, role) for role in ("web-task", name, arn)} == {name}
    with pytest.raises(SlipwayError, match=f"{stack} has no role 'worker-task'; it has: web-task."):
        find_role(iam, stack, "worker-task")
