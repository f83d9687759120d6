"""What the pipeline may do for pull requests: make, update and destroy previews, and change nothing under them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pulumi
import pulumi_aws as aws

from infra import naming
from infra.components.github_trust import Job, StateAccess, allow
from infra.components.pipeline_role import PUSH, UNBOUNDED
from infra.components.roles import ECS_TASKS, Statement, role
from infra.foundation import Foundation
from infra.settings import Settings

ENVIRONMENT = "preview"
"""The GitHub environment that preview.yml and reap.yml name."""
STACKS = "pr-*"
"""What the names of previews' stacks are like: see infra/previews/names.py."""
LOOKING = [
    *("ecs:ListServices", "elasticloadbalancing:Describe*", "logs:DescribeLogGroups", "secretsmanager:ListSecrets"),
    "tag:GetResources",
]
"""AWS allows no resource on these; leftovers are looked for by them."""
LOGS = [
    *("logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:GetLogEvents"),
    *("logs:ListTagsForResource", "logs:PutRetentionPolicy", "logs:TagResource"),
]
SECRETS = [
    *("secretsmanager:CreateSecret", "secretsmanager:DeleteSecret", "secretsmanager:DescribeSecret"),
    *("secretsmanager:GetResourcePolicy", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"),
    *("secretsmanager:TagResource", "secretsmanager:UpdateSecret"),
]
CHANGE_RULES = [
    *("elasticloadbalancing:DeleteRule", "elasticloadbalancing:ModifyRule", "elasticloadbalancing:SetRulePriorities"),
]


@dataclass(frozen=True)
class PipelinePreviewsArgs:
    """Inputs of `PipelinePreviews`."""

    repository: str
    """As `Job` has it."""
    provider_arn: pulumi.Input[str]
    state: StateAccess
    """Of all previews of the project, and of their environment for reading."""
    foundation: Foundation

    @classmethod
    def of(cls, settings: Settings, *, provider_arn: pulumi.Input[str], foundation: Foundation) -> PipelinePreviewsArgs:
        """As a stack's settings have it, for the stack of this program."""
        state = replace(StateAccess.of(settings), stack=STACKS, also_reads=pulumi.get_stack())
        return cls(settings.github_repository, provider_arn, state, foundation)


class PipelinePreviews(pulumi.ComponentResource):
    """A role for `slipway preview`: it changes what is tagged, or called, as a preview's of this project. Free.

    Whoever starts the task that makes databases may hand its roles to a task of their own: this role opens the
    environment's database, as its owner. So previews stand on an environment whose data is nobody's.
    """

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: PipelinePreviewsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:pipeline:PipelinePreviews", name, None, opts)
        invoke = pulumi.InvokeOutputOptions(parent=self)
        account = aws.get_caller_identity_output(opts=invoke).account_id
        region = aws.get_region_output(opts=invoke).region
        trust = Job(args.repository, ENVIRONMENT).trust(args.provider_arn)
        statements = [*_all(name, args, region, account), *args.state.writing()]
        made, _ = role(f"{name}-previews-pipeline", trust, statements, parent=self)
        self.arn = made.arn
        self.register_outputs({"arn": self.arn})


def _all(
    name: str, args: PipelinePreviewsArgs, region: pulumi.Output[str], account: pulumi.Output[str]
) -> list[Statement]:
    cluster, shared = args.foundation.cluster, args.foundation.previews
    listener = shared.listener_arn if shared else args.foundation.load_balancer.listener_arn
    previews = f"{pulumi.get_project()}-{STACKS}"
    mine = {"StringLike": {"aws:ResourceTag/stack": previews}}
    made = {"StringLike": {"aws:RequestTag/stack": previews}}

    def here(service: str, rest: str) -> pulumi.Output[str]:
        return pulumi.Output.format("arn:aws:{0}:{1}:{2}:{3}", service, region, account, rest)

    def of_the_cluster(prefix: pulumi.Output[str]) -> pulumi.Output[str]:
        return pulumi.Output.format("{0}/{1}", prefix, previews)

    service = pulumi.Output.from_input(cluster.arn).apply(lambda arn: arn.replace(":cluster/", ":service/"))
    services = ["ecs:CreateService", "ecs:DeleteService", "ecs:DescribeServices", "ecs:ListServiceDeployments"]
    below = naming.of_previews(name)
    groups = [here("logs", f"log-group:{below}/*"), here("logs", f"log-group:{name}-previews-db*")]
    rules = pulumi.Output.from_input(listener).apply(lambda arn: arn.replace(":listener/", ":listener-rule/") + "/*")
    targets = here("elasticloadbalancing", "targetgroup/*")
    return [
        allow(sorted({*UNBOUNDED, *LOOKING}), "*"),
        allow(PUSH, args.foundation.registry.arn),
        allow([*services, "ecs:UpdateService", "ecs:TagResource", "ecs:ListTagsForResource"], of_the_cluster(service)),
        allow("ecs:DescribeServiceDeployments", of_the_cluster(cluster.deployment_arns())),
        allow("ecs:DescribeServiceRevisions", of_the_cluster(cluster.revision_arns())),
        allow("ecs:ListTasks", pulumi.Output.format("{0}/*", cluster.instance_arns())),
        allow(["ecs:DescribeTasks", "ecs:StopTask"], pulumi.Output.format("{0}/*", cluster.task_arns())),
        allow(["ecs:DeleteTaskDefinitions", "ecs:TagResource"], here("ecs", f"task-definition/{previews}")),
        allow(
            "ecs:RunTask",
            [here("ecs", f"task-definition/{previews}"), here("ecs", f"task-definition/{name}-previews-db:*")],
            {"ArnEquals": {"ecs:cluster": cluster.arn}},
        ),
        allow(
            "iam:PassRole",
            [pulumi.Output.format("arn:aws:iam::{0}:role/{1}-previews-*", account, name)],
            {"StringEquals": {"iam:PassedToService": ECS_TASKS}},
        ),
        allow(["elasticloadbalancing:CreateTargetGroup", "elasticloadbalancing:AddTags"], targets, made),
        allow(["elasticloadbalancing:DeleteTargetGroup", "elasticloadbalancing:ModifyTargetGroup*"], targets, mine),
        allow(["elasticloadbalancing:CreateRule", "elasticloadbalancing:AddTags"], [listener, rules], made),
        allow(CHANGE_RULES, rules, mine),
        allow(
            LOGS,
            groups[0],
        ),
        allow("logs:GetLogEvents", groups[1]),
        allow(
            SECRETS,
            here("secretsmanager", f"secret:{below}/*"),
        ),
        allow(["kms:Decrypt", "kms:GenerateDataKey"], args.foundation.key_arn),
    ]
