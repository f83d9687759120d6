"""What a call needs beside its own action: what the reference's data do not say; its condition keys."""

from __future__ import annotations

from typing import Any

import pytest

from slipway_local.rights import iam_data
from slipway_local.rights.action_names import actions_of_operation
from slipway_local.rights.actions import UnknownAction
from slipway_local.rights.service_models import service
from tests.local.rights.calls import BALANCER, EC2, ECS, ECS_TAGS, ELB, KEY, LISTENER, ROLE, TAGS, arn, checks, needed
from tests.local.rights.fakes import ACCOUNT, REGION, FakeState


@pytest.mark.parametrize(
    ("service_name", "operation", "params", "passed_to"),
    [
        ("ecs", "RegisterTaskDefinition", {"family": "f", "taskRoleArn": ROLE}, "ecs-tasks.amazonaws.com"),
        ("ecs", "RegisterTaskDefinition", {"family": "f", "executionRoleArn": ROLE}, "ecs-tasks.amazonaws.com"),
        ("ecs", "RunTask", {"taskDefinition": "f:1", "overrides": {"taskRoleArn": ROLE}}, "ecs-tasks.amazonaws.com"),
        ("ecs", "CreateService", {"serviceName": "s", "role": "task"}, "ecs.amazonaws.com"),
        ("scheduler", "CreateSchedule", {"Name": "s", "Target": {"RoleArn": ROLE}}, "scheduler.amazonaws.com"),
        ("events", "PutTargets", {"Rule": "r", "Targets": [{"RoleArn": ROLE}]}, "events.amazonaws.com"),
        ("lambda", "CreateFunction", {"FunctionName": "f", "Role": ROLE}, "lambda.amazonaws.com"),
        (
            "rds",
            "CreateDBInstance",
            {"DBInstanceIdentifier": "d", "MonitoringRoleArn": ROLE},
            "monitoring.rds.amazonaws.com",
        ),
        ("ec2", "CreateFlowLogs", {"DeliverLogsPermissionArn": ROLE}, "vpc-flow-logs.amazonaws.com"),
        (
            "backup",
            "CreateBackupSelection",
            {"BackupPlanId": "p", "BackupSelection": {"IamRoleArn": ROLE}},
            "backup.amazonaws.com",
        ),
        ("iam", "AddRoleToInstanceProfile", {"InstanceProfileName": "p", "RoleName": "task"}, "ec2.amazonaws.com"),
        (
            "sns",
            "SetTopicAttributes",
            {"TopicArn": arn("sns", "t"), "AttributeName": "SQSFailureFeedbackRoleArn", "AttributeValue": ROLE},
            "sns.amazonaws.com",
        ),
        (
            "firehose",
            "CreateDeliveryStream",
            {"DeliveryStreamName": "s", "S3DestinationConfiguration": {"RoleARN": ROLE}},
            "firehose.amazonaws.com",
        ),
    ],
)
def test_a_role_that_is_passed_needs_pass_role(
    service_name: str, operation: str, params: dict[str, Any], passed_to: str
) -> None:
    passed = [check for check in checks(service_name, operation, **params) if check.action == "iam:PassRole"]
    assert [(check.resource, check.keys["iam:passedtoservice"]) for check in passed] == [(ROLE, passed_to)]


def test_a_task_is_run_with_its_definitions_roles() -> None:
    definition = f"{ECS}:task-definition/f:7"
    state = FakeState(definitions={definition: [ROLE]})
    made = needed("ecs", "RunTask", state, taskDefinition="f", cluster="c")
    assert made == [("ecs:RunTask", definition), ("iam:PassRole", ROLE)]


def test_no_role_is_passed_by_reading_or_taking_away() -> None:
    for operation in ("RemoveRoleFromDBInstance", "AddRoleToDBInstance"):
        made = needed("rds", operation, DBInstanceIdentifier="d", RoleArn=ROLE)
        assert ("iam:PassRole" in [action for action, _ in made]) is operation.startswith("Add")


@pytest.mark.parametrize(
    ("service_name", "operation", "params", "expected", "key"),
    [
        (
            "ecs",
            "CreateService",
            {"cluster": "c", "serviceName": "s", "tags": ECS_TAGS},
            ("ecs:TagResource", f"{ECS}:service/c/s"),
            "ecs:createaction",
        ),
        (
            "ecs",
            "RunTask",
            {"cluster": "c", "taskDefinition": "f:1", "tags": ECS_TAGS},
            ("ecs:TagResource", f"{ECS}:task/c/*"),
            "ecs:createaction",
        ),
        (
            "ec2",
            "CreateVpc",
            {"TagSpecifications": [{"ResourceType": "vpc", "Tags": TAGS}]},
            ("ec2:CreateTags", f"{EC2}:vpc/*"),
            "ec2:createaction",
        ),
        (
            "elbv2",
            "CreateTargetGroup",
            {"Name": "t", "Tags": TAGS},
            ("elasticloadbalancing:AddTags", f"{ELB}:targetgroup/t/*"),
            "elasticloadbalancing:createaction",
        ),
        (
            "elbv2",
            "CreateRule",
            {"ListenerArn": LISTENER, "Tags": TAGS},
            ("elasticloadbalancing:AddTags", f"{ELB}:listener-rule/app/web/50dc/f2f7/*"),
            "elasticloadbalancing:createaction",
        ),
        (
            "elbv2",
            "CreateListener",
            {"LoadBalancerArn": BALANCER, "Tags": TAGS},
            ("elasticloadbalancing:AddTags", f"{ELB}:listener/app/web/50dc/*"),
            "elasticloadbalancing:createaction",
        ),
        (
            "rds",
            "CreateDBInstance",
            {"DBInstanceIdentifier": "d", "Tags": TAGS},
            ("rds:AddTagsToResource", arn("rds", "db:d")),
            "",
        ),
        (
            "elasticache",
            "CreateReplicationGroup",
            {"ReplicationGroupId": "r", "Tags": TAGS},
            ("elasticache:AddTagsToResource", arn("elasticache", "replicationgroup:r")),
            "",
        ),
        ("iam", "CreateRole", {"RoleName": "r", "Tags": TAGS}, ("iam:TagRole", f"arn:aws:iam::{ACCOUNT}:role/r"), ""),
        ("sqs", "CreateQueue", {"QueueName": "q", "tags": {"Stack": "prod"}}, ("sqs:TagQueue", arn("sqs", "q")), ""),
        (
            "kms",
            "CreateKey",
            {"Tags": [{"TagKey": "Stack", "TagValue": "prod"}]},
            ("kms:TagResource", arn("kms", "key/*")),
            "",
        ),
        (
            "logs",
            "CreateLogGroup",
            {"logGroupName": "/a", "tags": {"Stack": "prod"}},
            ("logs:TagResource", arn("logs", "log-group:/a")),
            "",
        ),
        (
            "acm",
            "RequestCertificate",
            {"DomainName": "d", "Tags": TAGS},
            ("acm:AddTagsToCertificate", arn("acm", "certificate/*")),
            "",
        ),
    ],
)
def test_tags_at_creation_need_the_right_to_tag(
    service_name: str, operation: str, params: dict[str, Any], expected: tuple[str, str], key: str
) -> None:
    made = checks(service_name, operation, **params)
    tagging = next(check for check in made if (check.action, check.resource) == expected)
    assert tagging.keys["aws:requesttag/stack"] == "prod"
    assert tagging.keys["aws:tagkeys"] == ["Stack"]
    assert not key or tagging.keys[key] == operation
    assert len(needed(service_name, operation, **{k: v for k, v in params.items() if "ag" not in k})) < len(made)


def test_who_tags_later_says_no_creation() -> None:
    made = checks("elbv2", "AddTags", ResourceArns=[BALANCER], Tags=TAGS)
    assert [(check.action, check.resource) for check in made] == [("elasticloadbalancing:AddTags", BALANCER)]
    assert "elasticloadbalancing:createaction" not in made[0].keys


@pytest.mark.parametrize(
    ("service_name", "operation", "resource", "params", "uses", "via"),
    [
        ("s3", "GetObject", "arn:aws:s3:::b", {"Bucket": "b", "Key": "k"}, ["Decrypt"], "s3"),
        ("s3", "PutObject", "arn:aws:s3:::b", {"Bucket": "b", "Key": "k"}, ["GenerateDataKey"], "s3"),
        ("sqs", "ReceiveMessage", f"arn:aws:sqs:{REGION}:1:q", {"QueueUrl": "http://h/1/q"}, ["Decrypt"], "sqs"),
        (
            "sns",
            "Publish",
            f"arn:aws:sns:{REGION}:1:t",
            {"TopicArn": f"arn:aws:sns:{REGION}:1:t"},
            ["GenerateDataKey", "Decrypt"],
            "sns",
        ),
        ("secretsmanager", "GetSecretValue", "arn:secret", {"SecretId": "s"}, ["Decrypt"], "secretsmanager"),
    ],
)
def test_what_is_encrypted_needs_its_key_through_the_service(
    service_name: str, operation: str, resource: str, params: dict[str, Any], uses: list[str], via: str
) -> None:
    state = FakeState(encrypted={resource: KEY}, secrets={"s": "arn:secret"})
    made = [check for check in checks(service_name, operation, state, **params) if check.action.startswith("kms:")]
    assert [(check.action, check.resource) for check in made] == [(f"kms:{use}", KEY) for use in uses]
    assert {check.keys["kms:viaservice"] for check in made} == {f"{via}.{REGION}.amazonaws.com"}
    plain = needed(service_name, operation, FakeState(secrets={"s": "arn:secret"}), **params)
    assert not [action for action, _ in plain if action.startswith("kms:")]


def test_a_copy_reads_its_source() -> None:
    made = needed("s3", "CopyObject", Bucket="b", Key="k", CopySource="other/a%20b?versionId=1")
    assert made == [("s3:PutObject", "arn:aws:s3:::b/k"), ("s3:GetObject", "arn:aws:s3:::other/a b")]


def test_keys_of_a_call_say_what_the_call_says() -> None:
    (check,) = checks("ecs", "UpdateService", cluster="c", service="web", taskDefinition="f", enableExecuteCommand=True)
    assert check.keys["ecs:cluster"] == f"{ECS}:cluster/c"
    assert check.keys["ecs:task-definition"] == f"{ECS}:task-definition/f:7"
    assert check.keys["ecs:enable-execute-command"] == "true"
    (check,) = checks("s3", "ListObjectsV2", Bucket="b", Prefix="a/")
    assert check.keys["s3:prefix"] == "a/"
    headers = {"x-amz-server-side-encryption": "aws:kms"}
    (check,) = checks("s3", "PutObject", Bucket="b", Key="k", headers=headers)
    assert check.keys["s3:x-amz-server-side-encryption"] == "aws:kms"
    (check,) = checks("iam", "AttachRolePolicy", RoleName="r", PolicyArn="arn:aws:iam::aws:policy/X")
    assert check.keys["iam:policyarn"] == "arn:aws:iam::aws:policy/X"


def test_a_resources_tags_are_looked_up_when_they_are_asked_for() -> None:
    state = FakeState(tags={BALANCER: {"Stack": "prod"}})
    (check,) = checks("elbv2", "DeleteLoadBalancer", state, LoadBalancerArn=BALANCER)
    assert state.looked_up_tags == []
    assert check.keys["aws:resourcetag/stack"] == "prod"
    assert check.keys.get("elasticloadbalancing:resourcetag/stack") == "prod"
    assert check.keys.get("aws:resourcetag/owner") is None
    assert state.looked_up_tags == [BALANCER], "once"


def test_tags_are_no_key_of_an_action_that_aws_gives_none() -> None:
    (check,) = checks("ecs", "DeregisterTaskDefinition", FakeState(), taskDefinition=f"{ECS}:task-definition/f:1")
    assert check.keys.get("aws:resourcetag/stack") is None
    passed = checks("ecs", "RegisterTaskDefinition", family="f", taskRoleArn=ROLE, tags=ECS_TAGS)
    assert "aws:requesttag/stack" not in next(c for c in passed if c.action == "iam:PassRole").keys


def test_everybody_may_ask_who_he_is() -> None:
    assert needed("sts", "GetCallerIdentity") == []


def test_an_action_that_iam_does_not_have_is_refused() -> None:
    with pytest.raises(UnknownAction, match="ecr:ListImageReferrers"):
        checks("ecr", "ListImageReferrers", repositoryName="a")


def test_nearly_every_operation_has_its_action() -> None:
    unknown = set()
    for name in [
        "ec2",
        "ecs",
        "ecr",
        "elbv2",
        "rds",
        "elasticache",
        "s3",
        "sqs",
        "sns",
        "secretsmanager",
        "kms",
        "iam",
        "sts",
        "logs",
        "cloudwatch",
        "events",
        "acm",
    ]:
        found = service(name)
        assert found is not None
        for operation in found.operations:
            for action in actions_of_operation(found.iam_prefix, operation, "POST", {}):
                if iam_data.action(action) is None:
                    unknown.add(action)
    assert len(unknown) < 25, sorted(unknown)
    assert not {action for action in unknown if action.startswith(("ecs:", "elasticloadbalancing:", "sqs:", "iam:Cr"))}
