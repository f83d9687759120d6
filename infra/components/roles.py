"""IAM roles: the two of an ECS task (CKV_AWS_249: they differ), and those that AWS services take on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

Statement = Mapping[str, Any]
Granted = tuple[aws.iam.Role, list[pulumi.Resource]]
"""A role, and what has to be there before it can do what it is for: its policy is a resource of its own."""
ECS_TASKS = "ecs-tasks.amazonaws.com"


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
) -> Granted:
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
    # AWS documents no condition on this role's trust, unlike the task role's.
    return service_role(f"{name}-execution", ECS_TASKS, statements, parent=parent, this_account_only=False)


def task_role(name: str, *, statements: Sequence[Statement], parent: pulumi.Resource) -> Granted:
    """What the app's own code may do in AWS: `statements`, and nothing where there are none."""
    return service_role(f"{name}-task", ECS_TASKS, statements, parent=parent)


def service_role(
    name: str,
    service: str,
    statements: Sequence[Statement],
    *,
    parent: pulumi.Resource,
    this_account_only: bool = True,
) -> Granted:
    """A role that an AWS service takes on; by default only on behalf of this account (the confused deputy)."""
    trust: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    if this_account_only:
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=parent)).account_id
        trust["Condition"] = {"StringEquals": {"aws:SourceAccount": account}}
    return role(name, policy([trust]), statements, parent=parent)


def role(name: str, trust: pulumi.Input[str], statements: Sequence[Statement], *, parent: pulumi.Resource) -> Granted:
    """A role with an inline policy, where there are statements."""
    child = pulumi.ResourceOptions(parent=parent)
    made = aws.iam.Role(name, assume_role_policy=trust, opts=child)
    if not statements:
        return made, [made]
    return made, [made, aws.iam.RolePolicy(name, role=made.id, policy=policy(statements), opts=child)]
