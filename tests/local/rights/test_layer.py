"""Clients with sessions of roles against a running local AWS: allowed, refused in each protocol, and forged."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import botocore.exceptions
import pytest

from slipway_local.rights.usage import read_uses
from tests.local.rights.conftest import LocalAws
from tests.local.rights.fakes import allow, deny

Unique = Callable[[str], str]
ROLES = "arn:aws:iam::000000000000:role"


def refused(call: Callable[[], Any]) -> tuple[str, str, int]:
    """Code, message and HTTP status of the error that a call ends with."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    response = caught.value.response
    return response["Error"]["Code"], response["Error"]["Message"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_s3_by_prefix(aws: LocalAws, unique: Unique) -> None:
    bucket, name = unique("state"), unique("reader")
    aws.client("s3").create_bucket(Bucket=bucket)
    aws.client("s3").put_object(Bucket=bucket, Key="prod/stack.json", Body=b"{}")
    lists = {"StringLike": {"s3:prefix": "prod/*"}}
    role = aws.role(
        name,
        allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{bucket}/prod/*"),
        allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", Condition=lists),
        deny("s3:PutObject", f"arn:aws:s3:::{bucket}/prod/locked"),
    )
    s3 = aws.as_role("s3", role)
    assert s3.get_object(Bucket=bucket, Key="prod/stack.json")["Body"].read() == b"{}"
    s3.put_object(Bucket=bucket, Key="prod/large", Body=b"x" * 3_000_000)
    assert s3.get_object(Bucket=bucket, Key="prod/large")["ContentLength"] == 3_000_000
    assert len(s3.list_objects_v2(Bucket=bucket, Prefix="prod/")["Contents"]) == 2
    code, message, status = refused(lambda: s3.get_object(Bucket=bucket, Key="staging/stack.json"))
    assert (code, status) == ("AccessDenied", 403)
    assert message == (
        f"User: arn:aws:sts::000000000000:assumed-role/{name}/test is not authorized to perform: s3:GetObject "
        f"on resource: arn:aws:s3:::{bucket}/staging/stack.json "
        "because no identity-based policy allows the s3:GetObject action"
    )
    assert refused(lambda: s3.list_objects_v2(Bucket=bucket))[0] == "AccessDenied"
    message = refused(lambda: s3.put_object(Bucket=bucket, Key="prod/locked", Body=b""))[1]
    assert message.endswith("with an explicit deny in an identity-based policy")
    assert refused(lambda: s3.head_object(Bucket=bucket, Key="staging/x"))[2] == 403
    assert refused(lambda: s3.delete_object(Bucket=bucket, Key="prod/large"))[0] == "AccessDenied"


def test_a_buckets_policy_denies_and_allows(aws: LocalAws, unique: Unique) -> None:
    bucket = unique("shared")
    aws.client("s3").create_bucket(Bucket=bucket)
    aws.client("s3").put_object(Bucket=bucket, Key="k", Body=b"1")
    named, other = aws.role(unique("named")), aws.role(unique("other"), allow("s3:*"))
    statements = [
        allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*", Principal={"AWS": named}),
        deny("s3:*", f"arn:aws:s3:::{bucket}/*", Principal={"AWS": other}),
        deny("s3:*", "*", Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}}),
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    aws.client("s3").put_bucket_policy(Bucket=bucket, Policy=document)
    assert aws.as_role("s3", named).get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    message = refused(lambda: aws.as_role("s3", other).get_object(Bucket=bucket, Key="k"))[1]
    assert message.endswith("with an explicit deny in a resource-based policy")


@pytest.mark.parametrize(
    ("service", "call", "code", "status"),
    [
        ("iam", lambda c: c.list_roles(), "AccessDenied", 403),
        ("elbv2", lambda c: c.describe_load_balancers(), "AccessDenied", 403),
        ("sns", lambda c: c.create_topic(Name="t"), "AuthorizationError", 403),
        ("ec2", lambda c: c.describe_vpcs(), "UnauthorizedOperation", 403),
        ("ecs", lambda c: c.list_clusters(), "AccessDeniedException", 400),
        ("kms", lambda c: c.create_key(), "AccessDeniedException", 400),
        ("sqs", lambda c: c.create_queue(QueueName="q"), "AccessDenied", 400),
        ("scheduler", lambda c: c.list_schedules(), "AccessDeniedException", 403),
        ("route53", lambda c: c.list_hosted_zones(), "AccessDenied", 403),
        ("s3", lambda c: c.list_buckets(), "AccessDenied", 403),
        ("cloudwatch", lambda c: c.put_dashboard(DashboardName="d", DashboardBody="{}"), "AccessDenied", 400),
        (
            "ecr",
            lambda c: c.list_image_referrers(repositoryName="ab", subjectId={"imageDigest": "sha256:0"}),
            "AccessDeniedException",
            400,
        ),
    ],
)
def test_each_protocol_is_refused_in_its_own_form(
    aws: LocalAws, nobody: dict[str, Any], service: str, call: Callable[[Any], Any], code: str, status: int
) -> None:
    assert refused(lambda: call(aws.client(service, nobody)))[::2] == (code, status)
    if service not in ("ecr", "cloudwatch"):  # an operation that IAM does not know, a dashboard that is none
        call(aws.client(service))


@pytest.fixture(scope="module")
def nobody(aws: LocalAws) -> dict[str, Any]:
    """Credentials of a role without policies."""
    return aws.session(aws.role("role-without-policies"))


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({"SecretAccessKey": "x"}, ("SignatureDoesNotMatch", "InvalidSignatureException", "SignatureDoesNotMatch")),
        ({"AccessKeyId": "ASIAA"}, ("InvalidAccessKeyId", "UnrecognizedClientException", "InvalidClientTokenId")),
        ({"SessionToken": "x"}, ("InvalidToken", "UnrecognizedClientException", "InvalidClientTokenId")),
    ],
)
def test_forged_credentials_are_refused(
    aws: LocalAws, nobody: dict[str, Any], change: dict[str, str], codes: tuple[str, str, str]
) -> None:
    forged = nobody | change
    assert refused(lambda: aws.client("s3", forged).list_buckets())[0] == codes[0]
    assert refused(lambda: aws.client("ecs", forged).list_clusters())[0] == codes[1]
    assert refused(lambda: aws.client("iam", forged).list_roles())[0] == codes[2]


def test_ecs_families_passed_roles_and_tags(aws: LocalAws, unique: Unique) -> None:
    task = aws.role(unique("task"))
    passes = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    tags = {"StringEquals": {"ecs:CreateAction": "RegisterTaskDefinition", "aws:RequestTag/Stack": "prod"}}
    role = aws.role(
        unique("deployer"),
        allow("ecs:RegisterTaskDefinition", "arn:aws:ecs:*:*:task-definition/prod-*:*"),
        allow("iam:PassRole", task, Condition=passes),
        allow("ecs:TagResource", "*", Condition=tags),
    )
    ecs = aws.as_role("ecs", role)
    definition = {"containerDefinitions": [{"name": "app", "image": "app"}], "taskRoleArn": task}
    made = ecs.register_task_definition(family="prod-web", tags=[{"key": "Stack", "value": "prod"}], **definition)
    message = refused(lambda: ecs.register_task_definition(family="staging-web", **definition))[1]
    assert (
        "ecs:RegisterTaskDefinition on resource: arn:aws:ecs:us-east-1:000000000000:task-definition/staging-web:*"
        in message
    )
    definition["taskRoleArn"] = role
    assert (
        f"iam:PassRole on resource: {role}"
        in refused(lambda: ecs.register_task_definition(family="prod-web", **definition))[1]
    )
    definition["taskRoleArn"] = task
    other = [{"key": "Stack", "value": "staging"}]
    assert (
        "ecs:TagResource"
        in refused(lambda: ecs.register_task_definition(family="prod-web", tags=other, **definition))[1]
    )
    arn = made["taskDefinition"]["taskDefinitionArn"]
    again = refused(lambda: ecs.tag_resource(resourceArn=arn, tags=[{"key": "Stack", "value": "prod"}]))
    assert again[0] == "AccessDeniedException", "the right is of the creation alone"


def test_a_resources_tags_decide(aws: LocalAws) -> None:
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    own, other = (
        ec2.create_security_group(
            GroupName=name,
            Description=name,
            VpcId=vpc,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": [{"Key": "Stack", "Value": name}]}],
        )["GroupId"]
        for name in ("preview", "prod")
    )
    tagged = {"StringEquals": {"aws:ResourceTag/Stack": "${aws:PrincipalTag/Stack}"}}
    role = aws.role("by-tags", allow("ec2:DeleteSecurityGroup", "*", Condition=tagged))
    aws.client("iam").tag_role(RoleName="by-tags", Tags=[{"Key": "Stack", "Value": "preview"}])
    as_role = aws.as_role("ec2", role)
    assert refused(lambda: as_role.delete_security_group(GroupId=other))[0] == "UnauthorizedOperation"
    as_role.delete_security_group(GroupId=own)


def test_boundaries_and_session_policies_limit(aws: LocalAws, unique: Unique) -> None:
    iam = aws.client("iam")
    only_lists = json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:List*")]})
    boundary = iam.create_policy(PolicyName=unique("boundary"), PolicyDocument=only_lists)["Policy"]["Arn"]
    name = unique("bounded")
    role = aws.role(name, allow("*"))
    s3 = aws.as_role("s3", role, Policy=only_lists)
    assert "no session policy allows" in refused(lambda: s3.create_bucket(Bucket=unique("b")))[1]
    s3.list_buckets()
    iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=boundary)
    s3 = aws.as_role("s3", role)
    assert "no permissions boundary allows" in refused(lambda: s3.create_bucket(Bucket=unique("b")))[1]
    s3.list_buckets()


def test_users_have_the_policies_of_their_groups(aws: LocalAws, unique: Unique) -> None:
    iam = aws.client("iam")
    user, group = unique("ana"), unique("readers")
    iam.create_user(UserName=user)
    iam.create_group(GroupName=group)
    iam.add_user_to_group(UserName=user, GroupName=group)
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:ListAllMyBuckets")]})
    iam.put_group_policy(GroupName=group, PolicyName="own", PolicyDocument=document)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    aws.client("s3", key).list_buckets()
    message = refused(lambda: aws.client("sqs", key).create_queue(QueueName="q"))[1]
    assert message.startswith(f"User: arn:aws:iam::000000000000:user/{user} is not authorized")


def test_what_was_used_is_recorded(aws: LocalAws, unique: Unique) -> None:
    role = aws.role(unique("used"), allow("s3:ListAllMyBuckets"))
    s3 = aws.as_role("s3", role)
    for _ in range(3):
        s3.list_buckets()
    refused(lambda: s3.create_bucket(Bucket="new-bucket"))
    uses = [(use.action, use.resource, use.allowed) for use in read_uses(aws.usage) if use.role == role]
    assert uses == [("s3:ListAllMyBuckets", "*", True), ("s3:CreateBucket", "arn:aws:s3:::new-bucket", False)]
