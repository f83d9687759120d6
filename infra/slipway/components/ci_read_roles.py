"""The IAM roles of the pipeline that only read: for `slipway drift`, and for `slipway promote` from this stack."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.ci_deploy_role import describe_services_statement
from slipway.components.ci_targets import CiTargets
from slipway.components.github_oidc import OidcSubject, StateAccess, allow_statement
from slipway.components.iam_roles import Statement, create_role
from slipway.components.outputs import ClusterOutputs

READ_CONFIGURATION_ACTIONS = [
    *("acm:DescribeCertificate", "acm:ListTagsForCertificate", "application-autoscaling:Describe*"),
    *("application-autoscaling:ListTagsForResource", "aps:Describe*", "aps:ListTagsForResource"),
    *("backup:DescribeBackupVault", "backup:GetBackupPlan", "backup:GetBackupSelection", "backup:ListTags"),
    *("billing:GetBillingViewData", "budgets:ListTagsForResource", "budgets:ViewBudget"),
    *("cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource", "ec2:Describe*"),
    "ec2:GetManagedPrefixListEntries",
    *("ecr:DescribeImages", "ecr:DescribeRepositories", "ecr:GetAuthorizationToken", "ecr:GetLifecyclePolicy"),
    *("ecr:ListTagsForResource", "ecs:Describe*", "ecs:List*", "elasticache:Describe*"),
    *("elasticache:ListTagsForResource", "elasticloadbalancing:Describe*", "events:Describe*", "events:List*"),
    *("elasticloadbalancing:GetLoadBalancerWebACL", "iam:GetOpenIDConnectProvider", "iam:GetRole"),
    *("iam:GetRolePolicy", "iam:List*", "kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus"),
    *("kms:List*", "logs:Describe*", "logs:ListTagsForResource", "rds:Describe*", "rds:ListTagsForResource"),
    *("route53:GetHostedZone", "route53:List*", "s3:GetAccelerateConfiguration", "s3:GetBucket*"),
    *("s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration"),
    *("s3:ListBucket", "s3:ListTagsForResource", "scheduler:GetSchedule", "scheduler:ListTagsForResource"),
    *("secretsmanager:DescribeSecret", "secretsmanager:GetRandomPassword", "secretsmanager:GetResourcePolicy"),
    *("servicediscovery:GetNamespace", "servicediscovery:GetService", "servicediscovery:ListTagsForResource"),
    *("servicequotas:GetServiceQuota", "sns:Get*", "sns:List*", "sqs:GetQueueAttributes", "sqs:ListQueueTags"),
    *("wafv2:Get*", "wafv2:List*"),
]
"""How things are set, of everything in the account: no data, no file, no message, no log line.
infra/slipway/graph/aws_actions.yaml says which resource type needs which."""
READ_SERVICE_ACTIONS = ["ecs:DescribeServices", "ecs:ListServiceDeployments"]
UNSCOPED_PROMOTE_ACTIONS = [
    "cloudwatch:DescribeAlarms",
    "ecs:DescribeTaskDefinition",
    "elasticloadbalancing:DescribeTargetGroups",
]
"""AWS allows no resource on these."""
ECR_PULL_ACTIONS = ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"]


@dataclass(frozen=True)
class CiReadRolesArgs:
    """Inputs of `CiReadRoles`."""

    drift_subject: OidcSubject
    """Whose jobs run `slipway drift`."""
    provider_arn: pulumi.Input[str]
    """GitHub's OIDC provider in this account."""
    state: StateAccess
    key_arn: pulumi.Input[str]
    """The environment's own key, which its secrets are encrypted with."""
    repository_arn: pulumi.Input[str]
    """ECR repository that images are pulled from."""
    cluster: ClusterOutputs
    targets: CiTargets
    promote_subject: OidcSubject | None = None
    """Subject whose jobs may promote images from this stack; None: no role."""


class CiReadRoles(pulumi.ComponentResource):
    """A role for `slipway drift`, and with a `promote_subject` one for `slipway promote` from this stack.

    The first reads every configuration in the account and this stack's secrets, whose values the engine compares; the
    second sees how this stack's services run, and pulls its images. Free.
    """

    drift_role_arn: pulumi.Output[str]
    promote_role_arn: pulumi.Output[str] | None = None

    def __init__(self, name: str, args: CiReadRolesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:iam:CiReadRoles", name, None, opts)
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        drift, _ = create_role(
            f"{name}-drift",
            args.drift_subject.trust(args.provider_arn),
            _drift_statements(name, args, account),
            parent=self,
        )
        self.drift_role_arn = drift.arn
        if args.promote_subject:
            trust = args.promote_subject.trust(args.provider_arn)
            promote, _ = create_role(f"{name}-promote", trust, _promote_statements(args), parent=self)
            self.promote_role_arn = promote.arn
        self.register_outputs({"driftArn": self.drift_role_arn, "promoteArn": self.promote_role_arn})


def _drift_statements(name: str, args: CiReadRolesArgs, account: pulumi.Output[str]) -> list[Statement]:
    secrets = pulumi.Output.format("arn:aws:secretsmanager:*:{0}:secret:{1}-*", account, name)
    # The name pattern also matches stacks with a longer name: prod, prod-eu.
    of_this_stack = {"StringEquals": {"aws:ResourceTag/stack": name}}
    distributions = pulumi.Output.format("arn:aws:cloudfront::{0}:distribution/*", account)
    return [
        allow_statement(READ_CONFIGURATION_ACTIONS, "*"),
        allow_statement("secretsmanager:GetSecretValue", secrets, of_this_stack),
        # A distribution shows the secret header that it sends to its origin.
        allow_statement(["cloudfront:GetDistribution", "cloudfront:ListTagsForResource"], distributions, of_this_stack),
        allow_statement(ECR_PULL_ACTIONS, args.repository_arn),
        allow_statement("kms:Decrypt", args.key_arn),
        *args.state.read_statements(),
    ]


def _promote_statements(args: CiReadRolesArgs) -> list[Statement]:
    cluster, targets = args.cluster, args.targets
    return [
        allow_statement(UNSCOPED_PROMOTE_ACTIONS, "*"),
        allow_statement(ECR_PULL_ACTIONS, args.repository_arn),
        allow_statement(READ_SERVICE_ACTIONS, list(targets.service_arns)),
        describe_services_statement(cluster, list(targets.service_arns)),
        allow_statement("ecs:ListTasks", pulumi.Output.format("{0}/*", cluster.container_instance_arn_prefix())),
        allow_statement("ecs:DescribeTasks", pulumi.Output.format("{0}/*", cluster.task_arn_prefix())),
        allow_statement(
            "logs:GetLogEvents", [pulumi.Output.format("{0}:*", task.log_group_arn) for task in targets.tasks]
        ),
    ]
