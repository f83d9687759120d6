"""The pipeline's roles that read and change nothing: for what compares, and for who takes an image on from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.components.github_trust import Job, StateAccess, allow
from infra.components.roles import Statement, role
from infra.foundation import ClusterFacts, TaskFacts
from infra.settings import Settings

CONFIGURATIONS = [
    *("acm:DescribeCertificate", "acm:ListTagsForCertificate", "application-autoscaling:Describe*"),
    *("aps:DescribeLoggingConfiguration", "aps:DescribeWorkspace", "aps:ListTagsForResource"),
    *("application-autoscaling:ListTagsForResource", "budgets:ListTagsForResource", "budgets:ViewBudget"),
    *("cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource", "ec2:Describe*"),
    *("ecr:DescribeImages", "ecr:DescribeRepositories", "ecr:GetAuthorizationToken", "ecr:GetLifecyclePolicy"),
    *("ecr:ListTagsForResource", "ecs:Describe*", "ecs:List*", "elasticache:Describe*"),
    *("elasticache:ListTagsForResource", "elasticloadbalancing:Describe*", "events:Describe*", "events:List*"),
    *("iam:GetOpenIDConnectProvider", "iam:GetRole", "iam:GetRolePolicy", "iam:List*", "kms:DescribeKey"),
    *("kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:List*", "logs:Describe*", "logs:ListTagsForResource"),
    *("rds:Describe*", "rds:ListTagsForResource", "route53:GetHostedZone", "route53:List*", "s3:GetBucket*"),
    *("s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration", "s3:ListBucket", "scheduler:GetSchedule"),
    *("scheduler:ListTagsForResource", "secretsmanager:DescribeSecret", "secretsmanager:GetRandomPassword"),
    *("secretsmanager:GetResourcePolicy", "sns:Get*", "sns:List*", "sqs:GetQueueAttributes", "sqs:ListQueueTags"),
    *("wafv2:Get*", "wafv2:List*"),
]
"""How things are set, of everything in the account: no data, no file, no message, no log line."""
SERVING = ["ecs:DescribeServices", "ecs:ListServiceDeployments"]
UNBOUNDED = ["cloudwatch:DescribeAlarms", "ecs:DescribeTaskDefinition", "elasticloadbalancing:DescribeTargetGroups"]
"""AWS allows no resource on these."""
PULL = ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"]


@dataclass(frozen=True)
class PipelineReadersArgs:
    """Inputs of `PipelineReaders`."""

    compares: Job
    """Whose jobs run `slipway drift`."""
    provider_arn: pulumi.Input[str]
    state: StateAccess
    key_arn: pulumi.Input[str]
    """The environment's own key, which its secrets are encrypted with."""
    repository_arn: pulumi.Input[str]
    """The registry's, for images."""
    cluster: ClusterFacts
    service_arns: Sequence[pulumi.Input[str]]
    tasks: Sequence[TaskFacts]
    promotes_to: Job | None = None
    """Whose jobs take images on from here."""

    @classmethod
    def of(cls, settings: Settings, **facts: Any) -> PipelineReadersArgs:
        """As a stack's settings have it, for the stack of this program."""
        compares = Job(settings.github_repository, f"drift-{pulumi.get_stack()}")
        takes = Job(settings.github_repository, settings.promotes_to) if settings.promotes_to else None
        return cls(compares, promotes_to=takes, **facts)


class PipelineReaders(pulumi.ComponentResource):
    """A role for `slipway drift`, and one for `slipway promote` from this stack where `promotes_to` names who. Free.

    The first reads every configuration in the account and this stack's secrets, whose values the engine compares; the
    second sees how this stack's services run, and pulls its images.
    """

    drift_arn: pulumi.Output[str]
    promote_arn: pulumi.Output[str] | None = None

    def __init__(self, name: str, args: PipelineReadersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:pipeline:PipelineReaders", name, None, opts)
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        secrets = pulumi.Output.format("arn:aws:secretsmanager:*:{0}:secret:{1}-*", account, name)
        drift = [
            allow(CONFIGURATIONS, "*"),
            allow("secretsmanager:GetSecretValue", secrets),
            allow("kms:Decrypt", args.key_arn),
            *args.state.reading(),
        ]
        made, _ = role(f"{name}-drift", args.compares.trust(args.provider_arn), drift, parent=self)
        self.drift_arn = made.arn
        if args.promotes_to:
            trust = args.promotes_to.trust(args.provider_arn)
            made, _ = role(f"{name}-promote", trust, _promote(args), parent=self)
            self.promote_arn = made.arn
        self.register_outputs({"driftArn": self.drift_arn, "promoteArn": self.promote_arn})


def _promote(args: PipelineReadersArgs) -> list[Statement]:
    cluster = args.cluster
    return [
        allow(UNBOUNDED, "*"),
        allow(PULL, args.repository_arn),
        allow(SERVING, list(args.service_arns)),
        allow("ecs:DescribeServiceRevisions", pulumi.Output.format("{0}/*", cluster.revision_arns())),
        allow("ecs:ListTasks", pulumi.Output.format("{0}/*", cluster.instance_arns())),
        allow("ecs:DescribeTasks", pulumi.Output.format("{0}/*", cluster.task_arns())),
        allow("logs:GetLogEvents", [pulumi.Output.format("{0}:*", task.log_group_arn) for task in args.tasks]),
    ]
