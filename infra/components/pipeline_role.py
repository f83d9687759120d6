"""What the deploy pipeline may do: a role that GitHub's workflows take on without any key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.components.cluster import Cluster
from infra.components.registry import Registry
from infra.components.roles import ECS_TASKS, Statement, policy, role
from infra.components.scheduled import Scheduled
from infra.components.task import Task
from infra.components.web import Web
from infra.components.worker import Worker
from infra.settings import Settings

ISSUER = "token.actions.githubusercontent.com"
PUSH = [
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
UNBOUNDED = {
    "ecr:GetAuthorizationToken": "the token is for the whole registry; what it opens is bounded below",
    "ecs:RegisterTaskDefinition": "AWS knows no resource before it is registered; iam:PassRole bounds what it may be",
    "ecs:DeregisterTaskDefinition": "AWS allows no resource on it",
    "ecs:DescribeTaskDefinition": "AWS allows no resource on it",
    "ec2:DescribeAvailabilityZones": "AWS allows no resource on it; the program asks for the zones' names",
    "secretsmanager:GetRandomPassword": "AWS allows no resource on it; the program draws what it may need",
}
"""Actions on the resource `*`, each with its reason."""


@dataclass(frozen=True)
class PipelineRoleArgs:
    """Inputs of `PipelineRole`."""

    repository: str
    """owner/name on GitHub, or owner@123/name@456 where GitHub's tokens name both by number too."""
    environment: str
    """The GitHub environment that a job must name, with the approvals that it asks for there."""
    registry: Registry
    cluster: Cluster
    services: Sequence[Web | Worker]
    tasks: Sequence[Task]
    """All tasks that a release registers anew; the first is the migration, which it also runs."""
    scheduled: Sequence[Scheduled]
    make_provider: bool = True
    """Whether to make the account's OIDC provider of GitHub: there can be only one."""
    state_bucket: str = ""
    """The bucket of Pulumi's state, where that is the backend."""

    @classmethod
    def of(
        cls,
        settings: Settings,
        registry: Registry,
        cluster: Cluster,
        services: Sequence[Web | Worker],
        tasks: Sequence[Task],
        scheduled: Sequence[Scheduled],
    ) -> PipelineRoleArgs:
        """As a stack's settings have it."""
        return cls(
            repository=settings.github_repository,
            environment=settings.environment,
            registry=registry,
            cluster=cluster,
            services=services,
            tasks=tasks,
            scheduled=scheduled,
            make_provider=settings.github_provider,
            state_bucket=settings.state_bucket,
        )


class PipelineRole(pulumi.ComponentResource):
    """A role for `pulumi up` of a release: push an image, register tasks, migrate, update services and schedules.

    Only jobs of this repository that name this environment take it on (CKV_AWS_393). It cannot change the network, the
    data stores or IAM: whoever changes the infrastructure runs `pulumi up` with rights of their own. Free.
    """

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: PipelineRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:pipeline:PipelineRole", name, None, opts)
        made, _ = role(f"{name}-pipeline", self._trust(name, args), _statements(args), parent=self)
        self.arn = made.arn
        self.register_outputs({"arn": self.arn})

    def _trust(self, name: str, args: PipelineRoleArgs) -> pulumi.Output[str]:
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        provider = pulumi.Output.format("arn:aws:iam::{0}:oidc-provider/{1}", account, ISSUER)
        if args.make_provider:
            provider = aws.iam.OpenIdConnectProvider(
                f"{name}-github",
                url=f"https://{ISSUER}",
                client_id_lists=["sts.amazonaws.com"],
                opts=pulumi.ResourceOptions(parent=self),
            ).arn
        return policy(
            [
                {
                    "Effect": "Allow",
                    "Principal": {"Federated": provider},
                    "Action": "sts:AssumeRoleWithWebIdentity",
                    "Condition": {
                        "StringEquals": {
                            f"{ISSUER}:aud": "sts.amazonaws.com",
                            f"{ISSUER}:sub": f"repo:{args.repository}:environment:{args.environment}",
                        }
                    },
                }
            ]
        )


def _statements(args: PipelineRoleArgs) -> list[Statement]:
    migration = args.tasks[0]
    in_the_cluster = {"ArnEquals": {"ecs:cluster": args.cluster.arn}}
    statements: list[Statement] = [
        {"Effect": "Allow", "Action": sorted(UNBOUNDED), "Resource": "*"},
        {"Effect": "Allow", "Action": PUSH, "Resource": args.registry.repository_arn},
        {
            "Effect": "Allow",
            "Action": [
                "ecs:DescribeServices",
                "ecs:ListServiceDeployments",
                "ecs:ListTagsForResource",
                "ecs:UpdateService",
            ],
            "Resource": [service.service_arn for service in args.services],
        },
        {
            "Effect": "Allow",
            "Action": "ecs:DescribeServiceDeployments",
            "Resource": pulumi.Output.format("{0}/*", args.cluster.deployment_arn),
        },
        {
            "Effect": "Allow",
            "Action": "ecs:TagResource",
            # Before it is registered a task definition has no revision.
            "Resource": [
                arn for task in args.tasks for arn in (task.family_arn, pulumi.Output.format("{0}:*", task.family_arn))
            ],
        },
        {
            "Effect": "Allow",
            "Action": "ecs:RunTask",
            "Resource": pulumi.Output.format("{0}:*", migration.family_arn),
            "Condition": in_the_cluster,
        },
        {
            "Effect": "Allow",
            "Action": ["ecs:DescribeTasks", "ecs:StopTask"],
            "Resource": pulumi.Output.format("{0}/*", args.cluster.task_arn),
        },
        {
            "Effect": "Allow",
            "Action": "logs:GetLogEvents",
            "Resource": pulumi.Output.format("{0}:*", migration.log_group_arn),
        },
        {
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": [arn for task in args.tasks for arn in task.role_arns],
            "Condition": {"StringEquals": {"iam:PassedToService": ECS_TASKS}},
        },
        {
            "Effect": "Allow",
            "Action": ["scheduler:GetSchedule", "scheduler:UpdateSchedule"],
            "Resource": [scheduled.schedule_arn for scheduled in args.scheduled],
        },
        {
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": [scheduled.role_arn for scheduled in args.scheduled],
            "Condition": {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
        },
    ]
    if args.state_bucket:
        bucket = f"arn:aws:s3:::{args.state_bucket}"
        statements += [
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket},
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                "Resource": f"{bucket}/.pulumi/*",
            },
        ]
    return statements
