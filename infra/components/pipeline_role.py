"""What the deploy pipeline may do: a role that GitHub's workflows take on without any key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.components.github_trust import ISSUER, Job, StateAccess, allow
from infra.components.roles import ECS_TASKS, Statement, role
from infra.foundation import ClusterFacts, TaskFacts
from infra.settings import Settings

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
    "ecs:ListTaskDefinitions": "AWS allows no resource on it; the oldest revisions are deregistered",
    "ecs:ListClusters": "AWS allows no resource on it; the account's vCPUs in use are counted",
    "elasticloadbalancing:DescribeTargetGroups": "AWS allows no resource on it; a failed check is told with its path",
    "cloudwatch:DescribeAlarms": "an alarm that is in ALARM already when a rollout starts is said",
    "servicequotas:GetServiceQuota": "AWS allows no resource on it; the account's limit of Fargate vCPUs is compared",
    "ec2:DescribeAvailabilityZones": "AWS allows no resource on it; the program asks for the zones' names",
    "secretsmanager:GetRandomPassword": "AWS allows no resource on it; the program draws what it may need",
}
"""Actions on the resource `*`, each with its reason."""


@dataclass(frozen=True)
class PipelineRoleArgs:
    """Inputs of `PipelineRole`."""

    job: Job
    """Who may: its environment is named after the stack, with the approvals that it asks for there."""
    repository_arn: pulumi.Input[str]
    """The registry's, for images."""
    cluster: ClusterFacts
    service_arns: Sequence[pulumi.Input[str]]
    tasks: Sequence[TaskFacts]
    """All tasks that a release registers anew."""
    releases: Sequence[TaskFacts] = ()
    """Those of them that a release also runs."""
    schedule_arns: Sequence[pulumi.Input[str]] = ()
    scheduler_role_arns: Sequence[pulumi.Input[str]] = ()
    make_provider: bool = True
    """Whether to make the account's OIDC provider of GitHub: there can be only one."""
    state: StateAccess | None = None

    @classmethod
    def of(cls, settings: Settings, **facts: Any) -> PipelineRoleArgs:
        """As a stack's settings have it, for the stack of this program."""
        job = Job(settings.github_repository, pulumi.get_stack())
        return cls(job, make_provider=settings.github_provider, **facts)


class PipelineRole(pulumi.ComponentResource):
    """A role for `pulumi up` of a release: push an image, register tasks, migrate, update services and schedules.

    Only jobs of this repository that name this environment take it on (CKV_AWS_393). It cannot change the network, the
    data stores or IAM: whoever changes the infrastructure runs `pulumi up` with rights of their own. Free.
    """

    arn: pulumi.Output[str]
    provider_arn: pulumi.Output[str]
    """GitHub's, for other roles of this stack."""

    def __init__(self, name: str, args: PipelineRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:pipeline:PipelineRole", name, None, opts)
        self.provider_arn = self._issuer(name, args.make_provider)
        trust = args.job.trust(self.provider_arn)
        made, _ = role(f"{name}-pipeline", trust, _statements(args), parent=self)
        self.arn = made.arn
        self.register_outputs({"arn": self.arn})

    def _issuer(self, name: str, make: bool) -> pulumi.Output[str]:
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        provider = pulumi.Output.format("arn:aws:iam::{0}:oidc-provider/{1}", account, ISSUER)
        if make:
            provider = aws.iam.OpenIdConnectProvider(
                f"{name}-github",
                url=f"https://{ISSUER}",
                client_id_lists=["sts.amazonaws.com"],
                opts=pulumi.ResourceOptions(parent=self),
            ).arn
        return provider


def _statements(args: PipelineRoleArgs) -> list[Statement]:
    passed_on = [arn for task in args.tasks for arn in task.role_arns]
    # Before it is registered a task definition has no revision.
    families = [arn for task in args.tasks for arn in (task.family_arn, pulumi.Output.format("{0}:*", task.family_arn))]
    services = ["ecs:DescribeServices", "ecs:ListServiceDeployments", "ecs:ListTagsForResource", "ecs:UpdateService"]
    in_the_cluster = {"ecs:cluster": args.cluster.arn}
    running = pulumi.Output.format("{0}/*", args.cluster.task_arns())
    found = [
        allow(sorted(UNBOUNDED), "*"),
        allow(PUSH, args.repository_arn),
        allow(services, list(args.service_arns)),
        allow("ecs:DescribeServiceDeployments", pulumi.Output.format("{0}/*", args.cluster.deployment_arns())),
        allow("ecs:DescribeServiceRevisions", pulumi.Output.format("{0}/*", args.cluster.revision_arns())),
        allow("ecs:ListTasks", pulumi.Output.format("{0}/*", args.cluster.instance_arns())),
        allow("ecs:DescribeTasks", running),
        allow("logs:GetLogEvents", [pulumi.Output.format("{0}:*", task.log_group_arn) for task in args.tasks]),
        allow("ecs:TagResource", families),
        allow("iam:PassRole", passed_on, {"StringEquals": {"iam:PassedToService": ECS_TASKS}}),
    ]
    if args.releases:
        revisions = [pulumi.Output.format("{0}:*", task.family_arn) for task in args.releases]
        found += [
            allow("ecs:RunTask", revisions, {"ArnEquals": in_the_cluster}),
            allow("ecs:StopTask", running),
        ]
    if args.schedule_arns:
        scheduler = {"iam:PassedToService": "scheduler.amazonaws.com"}
        found += [
            allow(["scheduler:GetSchedule", "scheduler:UpdateSchedule"], list(args.schedule_arns)),
            allow("iam:PassRole", list(args.scheduler_role_arns), {"StringEquals": scheduler}),
        ]
    if args.state:
        found += args.state.writing()
    return found
