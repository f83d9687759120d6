"""The IAM role of the deploy pipeline: GitHub's jobs assume it by OIDC, without any stored key."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.ci_targets import CiTargets
from slipway.components.github_oidc import ISSUER, OidcSubject, StateAccess, allow_statement
from slipway.components.iam_roles import ECS_TASKS, Statement, create_role
from slipway.components.outputs import ClusterOutputs

MAX_SESSION_SECONDS = 7200
"""Longest session of the role. deploy.yml asks for 5,400 s: a build, a migration and a rollout may take so long."""
ECR_PUSH_ACTIONS = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchDeleteImage",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
]
UNSCOPED_ACTIONS = {
    "ecr:GetAuthorizationToken": "AWS allows no resource on it; the statement on the repository bounds the token",
    "ecs:DeregisterTaskDefinition": "AWS allows no resource on it; docs/pipeline.md says what follows",
    "ecs:DescribeTaskDefinition": "AWS allows no resource on it",
    "ecs:ListTaskDefinitions": "AWS allows no resource on it; the oldest revisions are deregistered",
    "ecs:ListClusters": "AWS allows no resource on it; the account's vCPUs in use are counted",
    "elasticloadbalancing:DescribeLoadBalancerAttributes": "AWS allows no resource on it; time-outs are compared",
    "elasticloadbalancing:DescribeTargetGroupAttributes": "AWS allows no resource on it; time-outs are compared",
    "elasticloadbalancing:DescribeTargetHealth": "AWS allows no resource on it; targets of a rollout are verified",
    "elasticloadbalancing:DescribeTargetGroups": "AWS allows no resource on it; a failed check is reported",
    "cloudwatch:DescribeAlarms": "an alarm that is in ALARM before a rollout starts is reported",
    "servicequotas:GetServiceQuota": "AWS allows no resource on it; the account's limit of Fargate vCPUs is compared",
    "ec2:DescribeAvailabilityZones": "AWS allows no resource on it; the program asks for the zones' names",
    "ec2:DescribeManagedPrefixLists": "AWS allows no resource on it; the program looks up CloudFront's addresses (cdn)",
    "ec2:GetManagedPrefixListEntries": "the provider reads them with the list, and the list is AWS's own (cdn)",
    "ec2:DescribeSubnets": "AWS allows no resource on it; the program looks up the subnets of existingVpc",
    "tag:GetResources": "AWS allows no resource on it; previews that this update would strand are looked up",
    "elasticloadbalancing:DescribeLoadBalancers": "AWS allows no resource on it; the names that previews answer to",
    "elasticloadbalancing:DescribeRules": "AWS allows no resource on it; the names that previews answer to",
    "ec2:DescribeSecurityGroupRules": "AWS allows no resource on it; the ports that previews may reach",
    "secretsmanager:GetRandomPassword": "AWS allows no resource on it; the program draws a value for each new secret",
}
"""Actions on the resource `*`, each with its reason."""
SERVICE_ACTIONS = [
    "ecs:DescribeServices",
    "ecs:ListServiceDeployments",
    "ecs:ListTagsForResource",
    "ecs:TagResource",
    "ecs:UntagResource",
    "ecs:UpdateService",
]


@dataclass(frozen=True)
class CiDeployRoleArgs:
    """Inputs of `CiDeployRole`."""

    subject: OidcSubject
    """Whose jobs may assume the role: its GitHub environment has the stack's name, and that environment's rules."""
    repository_arn: pulumi.Input[str]
    """ECR repository that images are pushed to."""
    cluster: ClusterOutputs
    targets: CiTargets
    create_oidc_provider: bool = True
    """Whether to create the account's OIDC provider of GitHub: an account has one."""
    state: StateAccess | None = None
    """Pulumi's state; None if the backend has its own access control."""


class CiDeployRole(pulumi.ComponentResource):
    """A role for `pulumi up` of a release: push an image, register tasks, migrate, update services and schedules.

    Only jobs of this repository that name this environment assume it (CKV_AWS_393). It cannot change the network, the
    data stores or IAM: changes of the infrastructure need `pulumi up` with other credentials. Free.
    """

    arn: pulumi.Output[str]
    provider_arn: pulumi.Output[str]
    """GitHub's OIDC provider, for the other roles of this stack."""

    def __init__(self, name: str, args: CiDeployRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:iam:CiDeployRole", name, None, opts)
        self.provider_arn = self._oidc_provider_arn(name, args.create_oidc_provider)
        role, _ = create_role(
            f"{name}-pipeline",
            args.subject.trust(self.provider_arn),
            _policy_statements(args),
            parent=self,
            max_session_seconds=MAX_SESSION_SECONDS,
        )
        self.arn = role.arn
        self.register_outputs({"arn": self.arn})

    def _oidc_provider_arn(self, name: str, create: bool) -> pulumi.Output[str]:
        if create:
            return aws.iam.OpenIdConnectProvider(
                f"{name}-github",
                url=f"https://{ISSUER}",
                client_id_lists=["sts.amazonaws.com"],
                opts=pulumi.ResourceOptions(parent=self),
            ).arn
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        return pulumi.Output.format("arn:aws:iam::{0}:oidc-provider/{1}", account, ISSUER)


def describe_services_statement(cluster: ClusterOutputs, service_arns: object) -> Statement:
    """Returns the right to read a service's deployments and revisions.

    The service authorization reference lists the service as a required resource of both, in addition to their own.
    """
    deployments = pulumi.Output.format("{0}/*", cluster.service_deployment_arn_prefix())
    revisions = pulumi.Output.format("{0}/*", cluster.service_revision_arn_prefix())
    services = list(service_arns) if isinstance(service_arns, (list, tuple)) else [service_arns]
    return allow_statement(
        ["ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions"], [*services, deployments, revisions]
    )


def _in_account(cluster: ClusterOutputs, resource: str) -> pulumi.Output[str]:
    """Returns `resource` of ECS as an ARN of the cluster's account and region."""
    return pulumi.Output.from_input(cluster.arn).apply(lambda arn: f"{arn.partition(':cluster/')[0]}:{resource}")


def _policy_statements(args: CiDeployRoleArgs) -> list[Statement]:
    targets, cluster = args.targets, args.cluster
    own_tasks = pulumi.Output.format("{0}/*", cluster.task_arn_prefix())
    # A task definition has no revision before it is registered.
    families = [
        arn for task in targets.tasks for arn in (task.family_arn, pulumi.Output.format("{0}:*", task.family_arn))
    ]
    statements = [
        allow_statement(sorted(UNSCOPED_ACTIONS), "*"),
        allow_statement(ECR_PUSH_ACTIONS, args.repository_arn),
        allow_statement(SERVICE_ACTIONS, list(targets.service_arns)),
        describe_services_statement(cluster, list(targets.service_arns)),
        # An `up` restores the minimum and maximum that `slipway scale` has changed; a target's ARN has no name.
        allow_statement(
            "application-autoscaling:RegisterScalableTarget",
            _in_account(cluster, "scalable-target/*").apply(
                lambda arn: arn.replace(":ecs:", ":application-autoscaling:")
            ),
            {"StringEquals": {"application-autoscaling:service-namespace": "ecs"}},
        ),
        allow_statement("ecs:DescribeServices", pulumi.Output.format("{0}/*", cluster.service_arn_prefix())),
        # Of all clusters: the account's vCPU quota is shared, so the capacity check counts every running task.
        allow_statement("ecs:ListTasks", _in_account(cluster, "container-instance/*")),
        allow_statement("ecs:DescribeTasks", _in_account(cluster, "task/*")),
        allow_statement(
            "logs:GetLogEvents", [pulumi.Output.format("{0}:*", task.log_group_arn) for task in targets.tasks]
        ),
        allow_statement(["ecs:RegisterTaskDefinition", "ecs:TagResource"], families),
        allow_statement(
            "iam:PassRole",
            [arn for task in targets.tasks for arn in task.pass_role_arns],
            {"StringEquals": {"iam:PassedToService": ECS_TASKS}},
        ),
    ]
    if targets.release_tasks:
        revisions = [pulumi.Output.format("{0}:*", task.family_arn) for task in targets.release_tasks]
        statements += [
            allow_statement("ecs:RunTask", revisions, {"ArnEquals": {"ecs:cluster": cluster.arn}}),
            allow_statement("ecs:StopTask", own_tasks),
        ]
    if targets.queue_arns:
        statements.append(allow_statement("sqs:GetQueueAttributes", list(targets.queue_arns)))
    if targets.schedule_arns:
        scheduler = {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
        statements += [
            allow_statement(["scheduler:GetSchedule", "scheduler:UpdateSchedule"], list(targets.schedule_arns)),
            allow_statement("iam:PassRole", list(targets.scheduler_role_arns), scheduler),
        ]
    if args.state:
        statements += args.state.write_statements()
    return statements
