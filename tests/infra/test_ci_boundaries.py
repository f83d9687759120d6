"""What the pipeline's roles may not do: touch another stack, claim its resources, be assumed by another's jobs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.infra.ci_stacks import HERE, SUFFIX, recorded, statements
from tests.infra.iam_policies import allows
from tests.infra.recorder import of


def granted_to_previews() -> list[dict[str, Any]]:
    return statements(recorded("dev", "on")[0], "slipway-dev-previews-pipeline")


PREVIEW_TAG, PROD_TAG = "slipway-pr-7", "slipway-prod"
LOAD_BALANCING = f"arn:aws:elasticloadbalancing:{HERE}"
TARGET_GROUP, RULE = f"{LOAD_BALANCING}:targetgroup/slipway-prod-web/9", f"{LOAD_BALANCING}:listener-rule/app/lb/1/2/9"


@pytest.mark.parametrize("arn", [TARGET_GROUP, RULE])
def test_a_preview_cannot_claim_what_is_not_a_previews_by_tagging_it(arn: str) -> None:
    """With the request's tag alone anybody who can push a branch could retag prod's target group, then delete it."""
    kind = "TargetGroup" if arn == TARGET_GROUP else "Rule"
    retag = {"aws:RequestTag/stack": PREVIEW_TAG, "aws:ResourceTag/stack": PROD_TAG}
    assert not allows(granted_to_previews(), "elasticloadbalancing:AddTags", arn, retag)
    assert not allows(granted_to_previews(), "elasticloadbalancing:AddTags", arn, {"aws:RequestTag/stack": PREVIEW_TAG})
    give_away = {"aws:RequestTag/stack": PROD_TAG, "aws:ResourceTag/stack": PREVIEW_TAG}
    assert not allows(granted_to_previews(), "elasticloadbalancing:AddTags", arn, give_away)
    created = {"elasticloadbalancing:CreateAction": f"Create{kind}", "aws:RequestTag/stack": PREVIEW_TAG}
    assert allows(granted_to_previews(), "elasticloadbalancing:AddTags", arn, created)
    for verb in ("Modify", "Delete"):
        action = f"elasticloadbalancing:{verb}{kind}"
        assert not allows(granted_to_previews(), action, arn, {"aws:ResourceTag/stack": PROD_TAG})
        assert allows(granted_to_previews(), action, arn, {"aws:ResourceTag/stack": PREVIEW_TAG})


@pytest.mark.parametrize("role", ["pipeline", "previews-pipeline"])
def test_no_role_registers_a_task_definition_of_another_stacks_family(role: str) -> None:
    """`slipway migrate` of that stack would run it with that stack's security group."""
    granted = statements(recorded("dev", "on")[0], f"slipway-dev-{role}")
    families = ["slipway-prod-release", "slipway-dev-release", "slipway-pr-7-release", "other-pr-7-release"]
    allowed = {
        family
        for family in families
        if allows(granted, "ecs:RegisterTaskDefinition", f"arn:aws:ecs:{HERE}:task-definition/{family}:8")
    }
    assert allowed == {"slipway-dev-release" if role == "pipeline" else "slipway-pr-7-release"}


def test_drift_reads_no_secret_of_a_stack_whose_name_goes_on_after_a_hyphen() -> None:
    granted = statements(recorded("prod", "on")[0], "slipway-prod-drift")
    arn = f"arn:aws:secretsmanager:{HERE}:secret:slipway-prod-eu-database-{SUFFIX}"
    own = arn.replace("-eu", "")
    assert allows(granted, "secretsmanager:GetSecretValue", own, {"aws:ResourceTag/stack": "slipway-prod"})
    assert not allows(granted, "secretsmanager:GetSecretValue", arn, {"aws:ResourceTag/stack": "slipway-prod-eu"})


def test_a_deploy_counts_the_running_tasks_of_all_clusters_and_stops_only_its_own() -> None:
    """The account's quota of vCPUs is for all of them."""
    granted = statements(recorded("prod", "on")[0], "slipway-prod-pipeline")
    for cluster in ("main", "another"):
        assert allows(granted, "ecs:ListTasks", f"arn:aws:ecs:{HERE}:container-instance/{cluster}/*")
        assert allows(granted, "ecs:DescribeTasks", f"arn:aws:ecs:{HERE}:task/{cluster}/1")
    assert allows(granted, "ecs:StopTask", f"arn:aws:ecs:{HERE}:task/main/1")
    assert not allows(granted, "ecs:StopTask", f"arn:aws:ecs:{HERE}:task/another/1")


@pytest.mark.parametrize("role", ["pipeline", "promote", "previews-pipeline"])
def test_who_reads_a_services_revisions_may_do_so_on_the_service_too(role: str) -> None:
    granted = statements(recorded("dev", "on")[0], f"slipway-dev-{role}")
    name = f"slipway-pr-7-web-{SUFFIX}" if role == "previews-pipeline" else f"slipway-dev-web-{SUFFIX}"
    kinds = (
        ["service", "service-revision"] if role == "promote" else ["service", "service-revision", "service-deployment"]
    )
    for kind in kinds:
        action = "ecs:DescribeServiceDeployments" if kind == "service-deployment" else "ecs:DescribeServiceRevisions"
        tail = "" if kind == "service" else "/5"
        assert allows(granted, action, f"arn:aws:ecs:{HERE}:{kind}/main/{name}{tail}")


def test_prometheus_may_make_the_request_that_tests_its_credentials() -> None:
    """Its discovery begins with DescribeClusters without a name, which AWS takes for the cluster `default`."""
    granted = statements(recorded("dev", "on")[0], "slipway-dev-prometheus-task")
    assert allows(granted, "ecs:DescribeClusters", f"arn:aws:ecs:{HERE}:cluster/default")
    assert not allows(granted, "ecs:DescribeClusters", f"arn:aws:ecs:{HERE}:cluster/another")


def test_the_previews_certificate_is_watched_for_its_end() -> None:
    alarms = of(recorded("dev", "on")[0], "aws:cloudwatch/metricAlarm:MetricAlarm")
    ending = [each.name for each in alarms if each.inputs.get("metricName") == "DaysToExpiry"]
    assert ending == ["slipway-dev-certificate", "slipway-dev-previews-certificate"]


ISSUER = "token.actions.githubusercontent.com"
ENVIRONMENTS = {"pipeline": "dev", "drift": "drift-dev", "promote": "next", "previews-pipeline": "preview"}
"""Role -> the GitHub environment whose jobs may assume it."""


@pytest.mark.parametrize("role", ENVIRONMENTS)
@pytest.mark.parametrize(
    ("subject", "audience"),
    [
        ("repo:acme/shop:environment:{own}", "another-audience"),
        ("repo:thief/shop:environment:{own}", "sts.amazonaws.com"),
        ("repo:acme/shop-2:environment:{own}", "sts.amazonaws.com"),
        ("repo:acme/shop:environment:another", "sts.amazonaws.com"),
        ("repo:acme/shop:environment:{own}-2", "sts.amazonaws.com"),
        ("repo:acme/shop:pull_request", "sts.amazonaws.com"),  # what a fork's job, and one without environment, has
        ("repo:acme/shop:ref:refs/heads/main", "sts.amazonaws.com"),
        ("repo:acme@1/shop@2:environment:{own}", "sts.amazonaws.com"),
        ("", ""),
    ],
)
def test_a_token_of_anybody_else_is_refused_by_the_trust_policy(role: str, subject: str, audience: str) -> None:
    (trust,) = [
        json.loads(each.inputs["assumeRolePolicy"])["Statement"]
        for each in of(recorded("dev", "on")[0], "aws:iam/role:Role")
        if each.name == f"slipway-dev-{role}"
    ]
    assert [each["Principal"] for each in trust] == [{"Federated": "arn:aws:mock:::slipway-dev-github"}]
    own = ENVIRONMENTS[role]
    claims = {f"{ISSUER}:sub": f"repo:acme/shop:environment:{own}", f"{ISSUER}:aud": "sts.amazonaws.com"}
    assert allows(trust, "sts:AssumeRoleWithWebIdentity", "", claims)
    theirs = {f"{ISSUER}:sub": subject.format(own=own), f"{ISSUER}:aud": audience}
    assert not allows(trust, "sts:AssumeRoleWithWebIdentity", "", theirs)
    assert not allows(trust, "sts:AssumeRole", "", claims)
