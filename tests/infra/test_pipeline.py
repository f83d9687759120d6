"""What runs without a person: the worker's scaling, the scheduled task, and the role that deploys."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

from slipway.components.ci_deploy_role import UNSCOPED_ACTIONS, CiDeployRole, CiDeployRoleArgs
from slipway.components.ci_preview_role import CiPreviewRole, CiPreviewRoleArgs
from slipway.components.ci_read_roles import CiReadRoles, CiReadRolesArgs
from slipway.components.ci_targets import CiTargets
from slipway.components.ecr_repository import EcrRepository, EcrRepositoryArgs
from slipway.components.github_oidc import OidcSubject, StateAccess
from slipway.components.scheduled_task import ScheduledTask, ScheduledTaskArgs
from slipway.components.worker_service import WorkerService, WorkerServiceArgs
from slipway.release import operations, post_deploy_verification
from tests.infra.facts import CLUSTER, FOUNDATION, PLACE, task, task_facts
from tests.infra.recorder import Registered, of, record
from tests.paths import ROOT

RUNNING = "arn:aws:ecs:eu-central-1:123456789012:task/main"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"


@cache
def made(
    create_oidc_provider: bool = True, state_bucket: str = "", max_tasks: int = 4, releases: bool = True
) -> list[Registered]:
    def build() -> None:
        EcrRepository("r", EcrRepositoryArgs(key_arn="arn:key"))
        worker = WorkerService(
            "w", WorkerServiceArgs(place=PLACE, label="worker", task=task(), max_tasks=max_tasks, queue_name="jobs")
        )
        cleanup = ScheduledTask("cleanup", ScheduledTaskArgs(PLACE, "cleanup", task(), "rate(1 day)"))
        release = [task_facts("release")] if releases else []
        access = StateAccess(state_bucket, "arn:state-key", "shop", "prod", "staging")
        targets = CiTargets(
            service_arns=[worker.service_arn],
            tasks=[*release, worker.task, cleanup.task],
            release_tasks=release,
            schedule_arns=[cleanup.schedule_arn],
            scheduler_role_arns=[cleanup.role_arn],
        )
        subject = OidcSubject("acme/shop", "prod")
        state = access if state_bucket else None
        role = CiDeployRole(
            "p", CiDeployRoleArgs(subject, "arn:repository", CLUSTER, targets, create_oidc_provider, state)
        )
        facts = (role.provider_arn, access, "arn:key", "arn:repository", CLUSTER, targets)
        CiPreviewRole(
            "shop-dev",
            CiPreviewRoleArgs("acme/shop", role.provider_arn, replace(access, stack="pr-*"), FOUNDATION),
        )
        CiReadRoles(
            "p", CiReadRolesArgs(OidcSubject("acme/shop", "drift-prod"), *facts, OidcSubject("acme/shop", "next"))
        )

    return record(build)


def statements(name: str, **how: Any) -> list[dict[str, Any]]:
    (policy,) = [p for p in of(made(**how), ROLE_POLICY) if p.name == name]
    found: list[dict[str, Any]] = json.loads(policy.inputs["policy"])["Statement"]
    return found


def test_the_worker_scales_on_the_jobs_that_wait_for_each_task() -> None:
    (policy,) = of(made(), "aws:appautoscaling/policy:Policy")
    held = policy.inputs["targetTrackingScalingPolicyConfiguration"]
    assert held["targetValue"] == 20
    waiting, tasks, backlog = held["customizedMetricSpecification"]["metrics"]
    assert waiting["metricStat"]["metric"]["metricName"] == "ApproximateNumberOfMessagesVisible"
    assert tasks["metricStat"]["metric"]["metricName"] == "RunningTaskCount"
    assert (backlog["expression"], backlog["returnData"]) == ("waiting / tasks", True)
    assert of(made(max_tasks=1), "aws:appautoscaling/policy:Policy") == []


def test_the_schedule_runs_one_task_in_private_and_tells_of_what_it_cannot_start() -> None:
    (schedule,) = of(made(), "aws:scheduler/schedule:Schedule")
    assert schedule.inputs["scheduleExpression"] == "rate(1 day)"
    target = schedule.inputs["target"]
    assert target["ecsParameters"]["taskCount"] == 1
    assert target["ecsParameters"]["networkConfiguration"]["assignPublicIp"] is False
    assert target["deadLetterConfig"]["arn"] == "arn:aws:mock:::cleanup-dead"


def test_the_scheduler_may_start_that_task_in_that_cluster_and_nothing_else() -> None:
    run, hand_on, tag, dead = statements("cleanup-scheduler")
    assert tag["Condition"] == {"StringEquals": {"ecs:CreateAction": "RunTask"}}
    assert run["Resource"] == "arn:aws:ecs:::task-definition/family:*"
    assert run["Condition"] == {"ArnEquals": {"ecs:cluster": "arn:aws:ecs:eu-central-1:123456789012:cluster/main"}}
    assert hand_on["Resource"] == ["arn:aws:mock:::cleanup-execution", "arn:aws:mock:::cleanup-task"]
    assert dead["Resource"] == "arn:aws:mock:::cleanup-dead"


def test_only_this_repositorys_jobs_of_this_environment_take_on_the_role() -> None:  # CKV_AWS_393
    (role,) = [r for r in of(made(), "aws:iam/role:Role") if r.name == "p-pipeline"]
    (trust,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    issuer = "token.actions.githubusercontent.com"
    assert trust["Condition"] == {
        "StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": "repo:acme/shop:environment:prod"}
    }
    assert trust["Principal"] == {"Federated": "arn:aws:mock:::p-github"}


def test_where_the_account_has_the_provider_it_is_used_and_not_made() -> None:
    found = made(create_oidc_provider=False)
    assert of(found, "aws:iam/openIdConnectProvider:OpenIdConnectProvider") == []
    (role,) = [r for r in of(found, "aws:iam/role:Role") if r.name == "p-pipeline"]
    (trust,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    provider = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    assert trust["Principal"] == {"Federated": provider}


def test_what_the_pipeline_may_do_is_exactly_this() -> None:
    found = statements("p-pipeline")
    everywhere = [statement["Action"] for statement in found if statement["Resource"] == "*"]
    assert everywhere == [sorted(UNSCOPED_ACTIONS)]
    bounded: set[str] = set()
    for statement in found:
        if statement["Resource"] != "*":
            actions = statement["Action"]
            bounded |= {actions} if isinstance(actions, str) else set(actions)
    assert bounded == {
        "application-autoscaling:RegisterScalableTarget",
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchDeleteImage",
        "ecr:BatchGetImage",
        "ecr:CompleteLayerUpload",
        "ecr:DescribeImages",
        "ecr:GetDownloadUrlForLayer",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
        "ecs:DescribeServiceDeployments",
        "ecs:DescribeServiceRevisions",
        "ecs:DescribeServices",
        "ecs:DescribeTasks",
        "ecs:ListServiceDeployments",
        "ecs:ListTasks",
        "ecs:ListTagsForResource",
        "ecs:RegisterTaskDefinition",
        "ecs:RunTask",
        "ecs:StopTask",
        "ecs:TagResource",
        "ecs:UntagResource",
        "ecs:UpdateService",
        "iam:PassRole",
        "logs:GetLogEvents",
        "scheduler:GetSchedule",
        "scheduler:UpdateSchedule",
    }
    handed_on = [statement for statement in found if statement["Action"] == "iam:PassRole"]
    assert all(statement["Condition"]["StringEquals"]["iam:PassedToService"] for statement in handed_on)


def test_without_a_release_step_the_pipeline_runs_no_task_at_all() -> None:
    actions = {str(statement["Action"]) for statement in statements("p-pipeline", releases=False)}
    assert not [action for action in actions if "RunTask" in action]


def resources(found: list[dict[str, Any]], *actions: str) -> set[str]:
    """What these actions are allowed on."""
    told: set[str] = set()
    for statement in found:
        named = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        if set(actions) & set(named):
            told |= {statement["Resource"]} if isinstance(statement["Resource"], str) else set(statement["Resource"])
    return told


def test_the_pipeline_writes_its_own_state_and_reads_that_of_the_stack_that_it_promotes_from() -> None:
    found = statements("p-pipeline", state_bucket="acme-state")
    folder = "arn:aws:s3:::acme-state/.pulumi"
    own = {f"{folder}/stacks/shop/prod.*", f"{folder}/*/shop/prod/*"}
    assert resources(found, "s3:PutObject", "s3:DeleteObject") == own
    assert resources(found, "s3:GetObject") == own | {
        f"{folder}/meta.yaml",
        f"{folder}/stacks/shop/staging.*",
        f"{folder}/*/shop/staging/*",
    }
    decrypts = [statement["Condition"] for statement in found if statement["Action"] == "kms:Decrypt"]
    assert decrypts == [
        {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}},
        {"StringLike": {"kms:EncryptionContext:stack": ["prod", "staging"]}},
    ]


@pytest.mark.parametrize(("role", "environment"), [("p-drift", "drift-prod"), ("p-promote", "next")])
def test_who_reads_has_a_role_of_an_environment_of_its_own(role: str, environment: str) -> None:
    (made_role,) = [r for r in of(made(), "aws:iam/role:Role") if r.name == role]
    (trust,) = json.loads(made_role.inputs["assumeRolePolicy"])["Statement"]
    subject = trust["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
    assert subject == f"repo:acme/shop:environment:{environment}"


@pytest.mark.parametrize("role", ["p-drift", "p-promote"])
def test_who_reads_changes_nothing_and_sees_no_data(role: str) -> None:
    found = statements(role, state_bucket="acme-state")
    actions = {a for s in found for a in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])}
    assert {a for a in actions if not re.match(r"[\w-]+:(Describe|Get|List|BatchGet|View|Decrypt)", a)} == set()
    data = {"s3:GetObject", "sqs:ReceiveMessage", "secretsmanager:GetSecretValue", "kms:Decrypt", "logs:GetLogEvents"}
    for action in data & actions:
        assert "*" not in resources(found, action)
    assert all("/.pulumi/" in each for each in resources(found, "s3:GetObject"))


def test_who_promotes_sees_the_services_and_pulls_images_of_this_stack_alone() -> None:
    found = statements("p-promote")
    assert resources(found, "ecr:GetDownloadUrlForLayer") == {"arn:repository"}
    assert resources(found, "secretsmanager:GetSecretValue", "kms:Decrypt", "s3:GetObject", "ec2:Describe*") == set()


PREVIEWS = "shop-dev-previews-pipeline"


def test_the_previews_role_changes_what_is_a_previews_and_nothing_of_the_environment() -> None:
    """By the name of what has one, by the tag of what has none, and by what its roles and secrets begin with."""
    found = statements(PREVIEWS, state_bucket="acme-state")
    reads = re.compile(r"[\w-]+:(Describe|Get|List|BatchGet|BatchCheck|View|Decrypt)")
    allowed_anywhere = set(UNSCOPED_ACTIONS)
    for statement in found:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        changing = {action for action in actions if not reads.match(action)} - allowed_anywhere
        on = [statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"]
        tags = [key for test in statement.get("Condition", {}).values() for key in test if key.endswith("Tag/stack")]
        named = [each for each in on if not re.search(r"pr-\*|/preview/|-previews-", each)]
        if changing and not tags:
            shared = {"arn:repository", "arn:key", "arn:state-key"}  # images have no owner; keys open what names bound
            assert set(named) <= shared | {f"{RUNNING}/*"}, statement
    prefix = "arn:aws:ecs:eu-central-1:123456789012:service/main/"
    assert resources(found, "ecs:UpdateService", "ecs:DeleteService") == {f"{prefix}slipway-pr-*"}
    assert resources(found, "secretsmanager:GetSecretValue") == {
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop-dev/preview/*"
    }


def test_a_preview_is_deployed_by_jobs_of_the_previews_environment_alone() -> None:
    (made_role,) = [r for r in of(made(), "aws:iam/role:Role") if r.name == PREVIEWS]
    (trust,) = json.loads(made_role.inputs["assumeRolePolicy"])["Statement"]
    subject = trust["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
    assert subject == "repo:acme/shop:environment:preview"


def test_the_registry_expires_nothing_that_was_deployed() -> None:
    (policy,) = of(made(), "aws:ecr/lifecyclePolicy:LifecyclePolicy")
    (rule,) = json.loads(policy.inputs["policy"])["rules"]
    assert rule["selection"]["tagStatus"] == "untagged"
    (repository,) = of(made(), "aws:ecr/repository:Repository")
    assert repository.inputs["imageTagMutability"] == "IMMUTABLE"  # ECR.2
    assert repository.inputs["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": "arn:key"}]  # ECR.5


def test_a_refusal_of_aws_after_the_rollout_is_an_error_with_its_action() -> None:
    """Not a stack trace of botocore's: the engine shows a RunError as it is."""
    refusal = {"Error": {"Code": "AccessDeniedException", "Message": "not authorized to perform: ecs:DescribeServices"}}

    def verify() -> None:
        raise ClientError(refusal, "DescribeServices")

    with patch("pulumi.log.error") as logged, pytest.raises(SystemExit):
        asyncio.run(post_deploy_verification.run_in_thread(verify))
    assert "ecs:DescribeServices" in logged.call_args.args[0]


@pytest.mark.parametrize(
    ("step", "runs"),
    [
        ({"family": "f", "taskDefinition": "arn:f:3"}, "arn:f:3"),  # not the newest, which may be somebody else's
        ({"family": "f"}, "f"),
    ],
)
def test_migrate_runs_the_task_definition_that_was_deployed(
    monkeypatch: pytest.MonkeyPatch, step: dict[str, str], runs: str
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(operations, "run_exclusive_task", lambda _, task, say: ran.append(task.task_definition))
    outputs = {"release": {**step, "network": {}, "container": "release", "plan": []}}
    stack: Any = SimpleNamespace(name="prod", aws=None, cluster="c", outputs=outputs)
    operations.run_release_task(stack, lambda line: None)
    assert ran == [runs]


def test_every_output_that_the_docs_name_is_one() -> None:
    named = set(re.findall(r"\((\w+Role)\b", (ROOT / "docs" / "pipeline.md").read_text()))
    assert named == set(
        re.findall(r'"(\w+Role)"', (ROOT / "infra" / "slipway" / "program" / "ci_roles.py").read_text())
    )
