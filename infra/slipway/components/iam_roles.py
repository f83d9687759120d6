"""IAM roles: execution and task role of an ECS task (CKV_AWS_249: they differ), and roles of AWS services."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

Statement = Mapping[str, Any]
RoleWithDependencies = tuple[aws.iam.Role, list[pulumi.Resource]]
"""A role, and the resources that its user depends on: the role and its policy."""
ECS_TASKS = "ecs-tasks.amazonaws.com"


def policy_document(statements: Sequence[Statement]) -> pulumi.Output[str]:
    """Returns an IAM policy document; its statements may contain outputs."""
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": list(statements)})


def create_execution_role(
    name: str,
    *,
    repository_arn: pulumi.Input[str],
    log_group_arn: pulumi.Input[str],
    parent: pulumi.Resource,
    extra: Sequence[Statement] = (),
    policy_key: str = "",
) -> RoleWithDependencies:
    """Creates the role of ECS itself for a task: pull from this repository, write to this log group, and `extra`.

    `policy_key`: what tells two sets of `extra` apart whose only difference is in outputs, such as secrets' names.
    Narrower than AWS's managed AmazonECSTaskExecutionRolePolicy, which reads every repository.
    """
    statements: list[Statement] = [
        # AWS allows no resource on this action: the token is for the whole registry; the next statement bounds it.
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
    # AWS documents no condition on the trust policy of this role, unlike the task role's.
    return create_service_role(
        f"{name}-execution",
        ECS_TASKS,
        statements,
        parent=parent,
        this_account_only=False,
        policy_name=_content_name(f"{name}-execution", statements, policy_key),
    )


def create_task_role(name: str, *, statements: Sequence[Statement], parent: pulumi.Resource) -> RoleWithDependencies:
    """Creates the role of the code in a task: it allows `statements`, or nothing without them."""
    return create_service_role(
        f"{name}-task",
        ECS_TASKS,
        statements,
        parent=parent,
        policy_name=_content_name(f"{name}-task", statements),
    )


def _content_name(name: str, statements: Sequence[Statement], key: str = "") -> str:
    """Returns a policy's name, which contains a hash of what is allowed.

    So a changed policy is another resource: the engine creates it before the rollout and deletes the former one when
    everything else has succeeded. Running tasks keep what they may do, and so do those that a rollback starts.
    """
    known = json.dumps([list(statements), key], sort_keys=True, default=lambda _: "output")
    return f"{name}-{hashlib.sha256(known.encode()).hexdigest()[:6]}"


def create_service_role(
    name: str,
    service: str,
    statements: Sequence[Statement],
    *,
    parent: pulumi.Resource,
    this_account_only: bool = True,
    policy_name: str = "",
) -> RoleWithDependencies:
    """Creates a role that an AWS service assumes; by default only for this account (confused deputy).

    `policy_name`: of its policy, where that is another than the role's.
    """
    trust: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    if this_account_only:
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=parent)).account_id
        trust["Condition"] = {"StringEquals": {"aws:SourceAccount": account}}
    return create_role(name, policy_document([trust]), statements, parent=parent, policy_name=policy_name)


def create_role(
    name: str,
    trust: pulumi.Input[str],
    statements: Sequence[Statement],
    *,
    parent: pulumi.Resource,
    max_session_seconds: int | None = None,
    policy_name: str = "",
) -> RoleWithDependencies:
    """Creates a role, with an inline policy if there are statements.

    `max_session_seconds`: None is IAM's default, 3,600; `policy_name`: empty for the role's.
    """
    child = pulumi.ResourceOptions(parent=parent)
    role = aws.iam.Role(name, assume_role_policy=trust, max_session_duration=max_session_seconds, opts=child)
    if not statements:
        return role, [role]
    policy = aws.iam.RolePolicy(policy_name or name, role=role.id, policy=policy_document(statements), opts=child)
    return role, [role, policy]
