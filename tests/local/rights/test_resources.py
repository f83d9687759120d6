"""A call needs its action on its resources, named by its parameters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local.rights.calls import EC2, ECS, ELB, KEY, LISTENER, arn, needed
from tests.local.rights.fakes import ACCOUNT, REGION


@pytest.mark.parametrize(
    ("service_name", "operation", "params", "expected"),
    [
        ("ecs", "UpdateService", {"cluster": "c", "service": "web"}, ("ecs:UpdateService", f"{ECS}:service/c/web")),
        ("ecs", "DescribeTasks", {"tasks": ["t"]}, ("ecs:DescribeTasks", f"{ECS}:task/default/t")),
        ("ecs", "DescribeClusters", {}, ("ecs:DescribeClusters", f"{ECS}:cluster/default")),
        ("ecs", "ListTasks", {"cluster": "c"}, ("ecs:ListTasks", f"{ECS}:container-instance/c/*")),
        ("ecs", "DeregisterTaskDefinition", {"taskDefinition": "f:1"}, ("ecs:DeregisterTaskDefinition", "*")),
        (
            "elbv2",
            "CreateTargetGroup",
            {"Name": "t"},
            ("elasticloadbalancing:CreateTargetGroup", f"{ELB}:targetgroup/t/*"),
        ),
        ("elbv2", "ModifyListener", {"ListenerArn": LISTENER}, ("elasticloadbalancing:ModifyListener", LISTENER)),
        ("ec2", "DescribeVpcs", {}, ("ec2:DescribeVpcs", "*")),
        ("ec2", "DeleteVpc", {"VpcId": "vpc-0abc1234"}, ("ec2:DeleteVpc", f"{EC2}:vpc/vpc-0abc1234")),
        (
            "sqs",
            "SendMessage",
            {"QueueUrl": "http://h/444455556666/q"},
            ("sqs:SendMessage", f"arn:aws:sqs:{REGION}:444455556666:q"),
        ),
        ("sqs", "SendMessageBatch", {"QueueUrl": "http://h/1/q"}, ("sqs:SendMessage", f"arn:aws:sqs:{REGION}:1:q")),
        ("sns", "Publish", {"TopicArn": arn("sns", "t")}, ("sns:Publish", arn("sns", "t"))),
        ("iam", "CreateRole", {"RoleName": "r", "Path": "/p/"}, ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/p/r")),
        ("kms", "Encrypt", {"KeyId": "alias/k"}, ("kms:Encrypt", KEY)),
        (
            "logs",
            "PutLogEvents",
            {"logGroupName": "/a", "logStreamName": "s"},
            ("logs:PutLogEvents", arn("logs", "log-group:/a:log-stream:s")),
        ),
        (
            "logs",
            "PutRetentionPolicy",
            {"logGroupName": "/a"},
            ("logs:PutRetentionPolicy", arn("logs", "log-group:/a:log-stream:")),
        ),
        (
            "logs",
            "ListTagsForResource",
            {"resourceArn": arn("logs", "log-group:/a")},
            ("logs:ListTagsForResource", arn("logs", "log-group:/a")),
        ),
        ("rds", "DeleteDBInstance", {"DBInstanceIdentifier": "d"}, ("rds:DeleteDBInstance", arn("rds", "db:d"))),
        ("ecr", "BatchGetImage", {"repositoryName": "a/b"}, ("ecr:BatchGetImage", arn("ecr", "repository/a/b"))),
        ("ssm", "GetParameter", {"Name": "/a/b"}, ("ssm:GetParameter", arn("ssm", "parameter/a/b"))),
        ("events", "PutRule", {"Name": "r", "EventBusName": "b"}, ("events:PutRule", arn("events", "rule/b/r"))),
        ("scheduler", "GetSchedule", {"Name": "s"}, ("scheduler:GetSchedule", arn("scheduler", "schedule/default/s"))),
        (
            "route53",
            "ChangeResourceRecordSets",
            {"HostedZoneId": "/hostedzone/Z"},
            ("route53:ChangeResourceRecordSets", "arn:aws:route53:::hostedzone/Z"),
        ),
        (
            "budgets",
            "CreateBudget",
            {"Budget": {"BudgetName": "b"}},
            ("budgets:ModifyBudget", f"arn:aws:budgets::{ACCOUNT}:budget/b"),
        ),
        (
            "cloudwatch",
            "PutMetricAlarm",
            {"AlarmName": "a"},
            ("cloudwatch:PutMetricAlarm", arn("cloudwatch", "alarm:a")),
        ),
        ("lambda", "Invoke", {"FunctionName": "f"}, ("lambda:InvokeFunction", arn("lambda", "function:f"))),
        (
            "servicediscovery",
            "GetService",
            {"Id": "srv-1"},
            ("servicediscovery:GetService", arn("servicediscovery", "service/srv-1")),
        ),
        (
            "backup",
            "DescribeBackupVault",
            {"BackupVaultName": "v"},
            ("backup:DescribeBackupVault", arn("backup", "backup-vault:v")),
        ),
        ("s3", "ListObjectsV2", {"Bucket": "b"}, ("s3:ListBucket", "arn:aws:s3:::b")),
        ("s3", "HeadObject", {"Bucket": "b", "Key": "k"}, ("s3:GetObject", "arn:aws:s3:::b/k")),
        ("s3", "GetObject", {"Bucket": "b", "Key": "k", "VersionId": "1"}, ("s3:GetObjectVersion", "arn:aws:s3:::b/k")),
        ("s3", "CreateMultipartUpload", {"Bucket": "b", "Key": "k"}, ("s3:PutObject", "arn:aws:s3:::b/k")),
        ("s3", "GetBucketReplication", {"Bucket": "b"}, ("s3:GetReplicationConfiguration", "arn:aws:s3:::b")),
        ("s3", "DeletePublicAccessBlock", {"Bucket": "b"}, ("s3:PutBucketPublicAccessBlock", "arn:aws:s3:::b")),
    ],
)
def test_a_call_needs_its_action_on_its_resource(
    service_name: str, operation: str, params: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert needed(service_name, operation, **params) == [expected]


def test_several_resources_all_count() -> None:
    made = needed("s3", "DeleteObjects", Bucket="b", Delete={"Objects": [{"Key": "x"}, {"Key": "y"}]})
    assert made == [("s3:DeleteObject", "arn:aws:s3:::b/x"), ("s3:DeleteObject", "arn:aws:s3:::b/y")]
    revision = f"{ECS}:service-revision/c/web/1"
    made = needed("ecs", "DescribeServiceRevisions", serviceRevisionArns=[revision])
    assert [resource for _, resource in made] == [revision, f"{ECS}:service/c/web"]
    assert needed("ec2", "CreateSubnet", VpcId="vpc-0abc1234") == [
        ("ec2:CreateSubnet", f"{EC2}:vpc/vpc-0abc1234"),
        ("ec2:CreateSubnet", f"{EC2}:subnet/*"),
    ]
