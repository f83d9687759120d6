"""The pipeline's roles against what AWS asks of them: each resource type and invoke of each stack, parts on and off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from slipway.graph.aws_actions import OPERATIONS, AwsActions, load_aws_actions
from tests.infra.ci_stacks import (
    HERE,
    IGNORED,
    REGION,
    SUFFIX,
    VARIANTS,
    arn_of,
    recorded,
    recorded_preview,
    resources,
    statements,
)
from tests.infra.iam_policies import allows
from tests.infra.program import STACKS
from tests.infra.recorder import Registered, of


def requests(action: str, resource: Registered, operation: str, stack: str) -> Iterator[tuple[str, dict[str, str]]]:
    """What AWS compares for an action of an operation: each ARN, and the request's condition keys."""
    arn, inputs = arn_of(resource.type, resource.name, resource.inputs), resource.inputs
    context = {"aws:ResourceTag/stack": stack}
    # What is there only after the first request of a creation has its tag in the others.
    if operation == "create" and action.partition(":")[2].startswith(("Create", "AddTags")):
        is_target_group = resource.type == "aws:lb/targetGroup:TargetGroup"
        tags = inputs.get("tags")  # of an image: its names
        context = {"aws:RequestTag/stack": tags.get("stack", "")} if isinstance(tags, dict) else {}
        context["elasticloadbalancing:CreateAction"] = "CreateTargetGroup" if is_target_group else "CreateRule"
    if action == "iam:PassRole":
        is_task = resource.type == "aws:ecs/taskDefinition:TaskDefinition"
        passed = [inputs["executionRoleArn"], inputs["taskRoleArn"]] if is_task else [inputs["target"]["roleArn"]]
        service = "ecs-tasks.amazonaws.com" if is_task else "scheduler.amazonaws.com"
        yield from ((role, {"iam:PassedToService": service}) for role in passed)
    elif action.startswith("kms:"):
        yield "KEY", {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}
    elif action == "elasticloadbalancing:CreateRule":
        yield inputs["listenerArn"], context
    elif resource.type == "aws:secretsmanager/secretVersion:SecretVersion":
        yield inputs["secretId"], {"aws:ResourceTag/stack": stack}
    elif resource.type == "docker-build:index:Image" and action != "ecr:GetAuthorizationToken":
        yield "REPOSITORY", context
    else:
        yield arn, context


def missing(
    role: str,
    granted: list[dict[str, Any]],
    made: tuple[list[Registered], set[str]],
    stack: str,
    *,
    key: str,
    repository: str,
    table: AwsActions | None = None,
) -> set[str]:
    """What the role lacks of what AWS asks for, as `action on ARN, to OPERATION TYPE`."""
    table, arns = table or load_aws_actions(), {"KEY": key, "REPOSITORY": repository}
    found = {
        f"{action}, for the function {token}"
        for token in made[1]
        for action in table.invokes[token]
        if not allows(granted, action, "*")
    }
    for resource in made[0]:
        if resource.type.startswith(IGNORED):
            continue
        for operation in table.operations(role, resource.type):
            for action in table.types[resource.type][operation]:
                for arn, context in requests(action, resource, operation, stack):
                    on = arns.get(arn, arn)
                    if not allows(granted, action, on, context):
                        found.add(f"{action} on {on}, to {operation} {resource.type}")
    return found


def key_and_repository(made: list[Registered]) -> tuple[str, str]:
    """The ARNs of an environment's own key and of its registry."""
    (key,) = [each for each in of(made, "aws:kms/key:Key") if each.name.endswith("-key")]
    (repository,) = of(made, "aws:ecr/repository:Repository")
    return arn_of(key.type, key.name, {}), arn_of(repository.type, repository.name, repository.inputs)


def lacks(stack: str, variant: str, role: str, suffix: str, table: AwsActions | None = None) -> set[str]:
    """What a role of an environment lacks for its own resources."""
    made, name = recorded(stack, variant), f"slipway-{stack}"
    key, repository = key_and_repository(made[0])
    granted = statements(made[0], f"{name}-{suffix}")
    return missing(role, granted, made, name, key=key, repository=repository, table=table)


EVERYWHERE = [(stack, variant) for stack in STACKS for variant in VARIANTS]


@pytest.mark.parametrize(("stack", "variant"), EVERYWHERE)
def test_every_resource_type_and_function_has_its_actions_in_the_table(stack: str, variant: str) -> None:
    table, (made, invokes) = load_aws_actions(), recorded(stack, variant)
    used = {each.type for each in made if not each.type.startswith(IGNORED)}
    assert used - set(table.types) == set()
    assert invokes - set(table.invokes) == set()


@pytest.mark.parametrize(("stack", "variant"), EVERYWHERE)
def test_a_release_may_do_all_that_it_does(stack: str, variant: str) -> None:
    assert lacks(stack, variant, "pipelineRole", "pipeline") == set()


@pytest.mark.parametrize(("stack", "variant"), EVERYWHERE)
def test_drift_may_read_every_resource(stack: str, variant: str) -> None:
    assert lacks(stack, variant, "driftRole", "drift") == set()


def test_a_preview_may_be_created_updated_and_destroyed_by_its_own_role() -> None:
    base, _ = recorded("dev", "on")
    granted = statements(base, "slipway-dev-previews-pipeline")
    made = recorded_preview()
    assert {each.type for each in made[0] if not each.type.startswith(IGNORED)} <= set(load_aws_actions().types)
    key, repository = key_and_repository(base)
    lack = missing("previewRole", granted, made, "slipway-pr-42", key=key, repository=repository)
    assert lack == set()


def test_the_settings_that_are_on_bring_what_is_off_elsewhere() -> None:
    """Else the comparison would be of the same resources twice."""
    on, off = ({each.type for each in resources("prod", variant)} for variant in ("on", "off"))
    assert {"aws:amp/workspace:Workspace", "aws:backup/vault:Vault", "aws:servicediscovery/service:Service"} <= on - off
    assert "aws:ec2/getSubnet:getSubnet" in recorded("prod", "off")[1]
    names = {each.name for each in of(recorded("dev", "on")[0], "aws:ecs/taskDefinition:TaskDefinition")}
    assert {f"slipway-dev-{task}-task" for task in ("prometheus", "grafana", "previews-db", "template")} <= names


def test_what_is_missing_is_named() -> None:
    whole = load_aws_actions()
    types = {**whole.types, "aws:ecs/service:Service": {each: ["ecs:Invented"] for each in OPERATIONS}}
    invokes = {each: ["sts:Invented"] for each in whole.invokes}
    lack = lacks("dev", "on", "pipelineRole", "pipeline", AwsActions(types, invokes, whole.roles))
    arn = f"arn:aws:ecs:{HERE}:service/main/slipway-dev-web-{SUFFIX}"
    assert f"ecs:Invented on {arn}, to update aws:ecs/service:Service" in lack
    assert "sts:Invented, for the function aws:index/getRegion:getRegion" in lack


@pytest.mark.parametrize(("stack", "variant"), EVERYWHERE)
def test_no_roles_inline_policies_are_longer_than_iam_takes(stack: str, variant: str) -> None:
    """10,240 characters of a role's inline policies together, without white space."""
    lengths: dict[str, int] = {}
    for policy in of(recorded(stack, variant)[0], "aws:iam/rolePolicy:RolePolicy"):
        lengths[policy.inputs["role"]] = lengths.get(policy.inputs["role"], 0) + len(
            "".join(policy.inputs["policy"].split())
        )
    assert {role: length for role, length in lengths.items() if length > 10_240} == {}
