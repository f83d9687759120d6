"""The IAM role of the previews' pipeline: it creates, updates and destroys previews, but not their base environment."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.ci_deploy_role import ECR_PUSH_ACTIONS, SERVICE_ACTIONS, UNSCOPED_ACTIONS
from slipway.components.github_oidc import OidcSubject, StateAccess, allow_statement
from slipway.components.iam_roles import ECS_TASKS, Statement, create_role
from slipway.components.outputs import ClusterOutputs, EnvironmentOutputs
from slipway.config import names

GITHUB_ENVIRONMENT = "preview"
"""The GitHub environment that preview.yml and reap.yml name."""
PREVIEW_STACK_PATTERN = "pr-*"
"""Pattern of the previews' stack names: see infra/slipway/previews/preview_names.py."""
UNSCOPED_READ_ACTIONS = [
    "ecs:ListServices",
    "elasticloadbalancing:Describe*",
    "logs:DescribeLogGroups",
    "secretsmanager:ListSecrets",
    "tag:GetResources",
]
"""AWS allows no resource on these; orphans of previews are looked for by them."""
LOG_GROUP_ACTIONS = [
    "logs:AssociateKmsKey",
    "logs:CreateLogGroup",
    "logs:DeleteLogGroup",
    "logs:GetLogEvents",
    "logs:ListTagsForResource",
    "logs:PutRetentionPolicy",
    "logs:TagResource",
    "logs:UntagResource",
]
SECRET_ACTIONS = [
    "secretsmanager:CreateSecret",
    "secretsmanager:DeleteSecret",
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetResourcePolicy",
    "secretsmanager:GetSecretValue",
    "secretsmanager:PutSecretValue",
    "secretsmanager:TagResource",
    "secretsmanager:UntagResource",
    "secretsmanager:UpdateSecret",
    "secretsmanager:UpdateSecretVersionStage",
]
CHANGE_LISTENER_RULE_ACTIONS = [
    "elasticloadbalancing:DeleteRule",
    "elasticloadbalancing:ModifyRule",
    "elasticloadbalancing:RemoveTags",
    "elasticloadbalancing:SetRulePriorities",
]
CHANGE_TARGET_GROUP_ACTIONS = [
    "elasticloadbalancing:DeleteTargetGroup",
    "elasticloadbalancing:ModifyTargetGroup",
    "elasticloadbalancing:ModifyTargetGroupAttributes",
    "elasticloadbalancing:RemoveTags",
]


@dataclass(frozen=True)
class CiPreviewRoleArgs:
    """Inputs of `CiPreviewRole`."""

    repository: str
    """Of GitHub, as `OidcSubject` has it."""
    provider_arn: pulumi.Input[str]
    """GitHub's OIDC provider in this account."""
    state: StateAccess
    """Of all previews of the project; and of their base environment, to read."""
    environment_outputs: EnvironmentOutputs


class CiPreviewRole(pulumi.ComponentResource):
    """A role for `slipway preview`: it may change resources with a preview's name, or tag if they have no name.

    A principal that may start the database task may also pass its roles to another task, so this role can read and
    change the base environment's database as its owner: use a base without personal data. Free.
    """

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: CiPreviewRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:iam:CiPreviewRole", name, None, opts)
        invoke = pulumi.InvokeOutputOptions(parent=self)
        account = aws.get_caller_identity_output(opts=invoke).account_id
        region = aws.get_region_output(opts=invoke).region
        trust = OidcSubject(args.repository, GITHUB_ENVIRONMENT).trust(args.provider_arn)
        statements = [*_policy_statements(name, args, region, account), *args.state.write_statements()]
        role, _ = create_role(f"{name}-previews-pipeline", trust, statements, parent=self)
        self.arn = role.arn
        self.register_outputs({"arn": self.arn})


def _policy_statements(
    name: str, args: CiPreviewRoleArgs, region: pulumi.Output[str], account: pulumi.Output[str]
) -> list[Statement]:
    outputs = args.environment_outputs
    previews = f"{pulumi.get_project()}-{PREVIEW_STACK_PATTERN}"
    prefix = names.preview_name_prefix(name)

    def arn(service: str, resource: str) -> pulumi.Output[str]:
        return pulumi.Output.format("arn:aws:{0}:{1}:{2}:{3}", service, region, account, resource)

    log_groups = arn("logs", f"log-group:{prefix}/*")
    return [
        allow_statement(sorted({*UNSCOPED_ACTIONS, *UNSCOPED_READ_ACTIONS}), "*"),
        allow_statement(ECR_PUSH_ACTIONS, outputs.registry.arn),
        *_ecs_statements(outputs.cluster, previews, arn("ecs", f"task-definition/{previews}")),
        allow_statement(
            "ecs:RunTask",
            [arn("ecs", f"task-definition/{previews}"), arn("ecs", f"task-definition/{name}-previews-db:*")],
            {"ArnEquals": {"ecs:cluster": outputs.cluster.arn}},
        ),
        allow_statement(
            "iam:PassRole",
            [pulumi.Output.format("arn:aws:iam::{0}:role/{1}-previews-*", account, name)],
            {"StringEquals": {"iam:PassedToService": ECS_TASKS}},
        ),
        *_load_balancer_statements(outputs, previews, arn("elasticloadbalancing", "targetgroup/*")),
        allow_statement(LOG_GROUP_ACTIONS, [log_groups, pulumi.Output.format("{0}:*", log_groups)]),
        allow_statement("logs:GetLogEvents", arn("logs", f"log-group:{name}-previews-db*")),
        allow_statement(SECRET_ACTIONS, arn("secretsmanager", f"secret:{prefix}/*")),
        allow_statement(["kms:Decrypt", "kms:GenerateDataKey"], outputs.key_arn),
    ]


def _ecs_statements(cluster: ClusterOutputs, previews: str, families: pulumi.Output[str]) -> list[Statement]:
    """`previews`: pattern of `<project>-<stack>`. `families`: ARN of the task definitions of all previews."""

    def of_the_cluster(prefix: pulumi.Output[str]) -> pulumi.Output[str]:
        return pulumi.Output.format("{0}/{1}", prefix, previews)

    services = of_the_cluster(cluster.service_arn_prefix())
    return [
        allow_statement(["ecs:CreateService", "ecs:DeleteService", *SERVICE_ACTIONS], services),
        allow_statement(
            ["ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions"],
            [
                services,
                of_the_cluster(cluster.service_deployment_arn_prefix()),
                of_the_cluster(cluster.service_revision_arn_prefix()),
            ],
        ),
        allow_statement("ecs:ListTasks", pulumi.Output.format("{0}/*", cluster.container_instance_arn_prefix())),
        allow_statement(
            ["ecs:DescribeTasks", "ecs:StopTask"], pulumi.Output.format("{0}/*", cluster.task_arn_prefix())
        ),
        allow_statement(["ecs:DeleteTaskDefinitions", "ecs:RegisterTaskDefinition", "ecs:TagResource"], families),
    ]


def _load_balancer_statements(
    outputs: EnvironmentOutputs, previews: str, target_groups: pulumi.Output[str]
) -> list[Statement]:
    """Rights on target groups and listener rules, whose ARNs have no name to bound them by: by the tag `stack`.

    A tag is set with the resource, or on a resource that is a preview's already: who could set it on any resource could
    first make it theirs.
    """
    listener = outputs.previews.listener_arn if outputs.previews else outputs.load_balancer.listener_arn
    rules = pulumi.Output.from_input(listener).apply(lambda arn: arn.replace(":listener/", ":listener-rule/") + "/*")
    asks_for_tag = {"StringLike": {"aws:RequestTag/stack": previews}}
    has_tag = {"StringLike": {"aws:ResourceTag/stack": previews}}
    on_creation = {
        "StringEquals": {"elasticloadbalancing:CreateAction": ["CreateTargetGroup", "CreateRule"]},
        **asks_for_tag,
    }
    keeps_tag = {**has_tag, "StringLikeIfExists": {"aws:RequestTag/stack": previews}}
    return [
        allow_statement("elasticloadbalancing:CreateTargetGroup", target_groups, asks_for_tag),
        allow_statement("elasticloadbalancing:CreateRule", listener, asks_for_tag),
        allow_statement("elasticloadbalancing:AddTags", [target_groups, rules], on_creation),
        allow_statement("elasticloadbalancing:AddTags", [target_groups, rules], keeps_tag),
        allow_statement(CHANGE_TARGET_GROUP_ACTIONS, target_groups, has_tag),
        allow_statement(CHANGE_LISTENER_RULE_ACTIONS, rules, has_tag),
    ]
