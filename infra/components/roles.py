"""The two IAM roles of an ECS task (CKV_AWS_249: they differ)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

Statement = Mapping[str, Any]

ECS_TASKS_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ecs-tasks.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def policy(statements: Sequence[Statement]) -> pulumi.Output[str]:
    """An IAM policy document; its statements may hold outputs."""
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": list(statements)})


def execution_role(
    name: str,
    *,
    repository_arn: pulumi.Input[str],
    log_group_arn: pulumi.Input[str],
    parent: pulumi.Resource,
    extra: Sequence[Statement] = (),
) -> aws.iam.Role:
    """What ECS itself may do for a task: pull this image, write to this log group, and `extra`.

    Narrower than AWS's managed AmazonECSTaskExecutionRolePolicy, which reads every repository.
    """
    statements: list[Statement] = [
        # AWS allows no resource on this one: the token is for the whole registry, what it opens is below.
        {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ],
            "Resource": repository_arn,
        },
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": pulumi.Output.format("{0}:*", log_group_arn),
        },
        *extra,
    ]
    return _role(f"{name}-execution", statements, parent)


def task_role(name: str, *, statements: Sequence[Statement], parent: pulumi.Resource) -> aws.iam.Role:
    """What the app's own code may do in AWS: `statements`, and nothing where there are none."""
    return _role(f"{name}-task", statements, parent)


def _role(name: str, statements: Sequence[Statement], parent: pulumi.Resource) -> aws.iam.Role:
    child = pulumi.ResourceOptions(parent=parent)
    role = aws.iam.Role(name, assume_role_policy=ECS_TASKS_TRUST, opts=child)
    if statements:
        aws.iam.RolePolicy(name, role=role.id, policy=policy(statements), opts=child)
    return role
