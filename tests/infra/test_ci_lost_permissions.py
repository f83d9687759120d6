"""The pipeline's roles by the rights engine of the local AWS: what each may do, and what is said of a lost permission.

The requests are those of the table of actions for the recorded resources: no AWS, no engine of Pulumi. Commands of jobs
that lack a permission are in tests/local/test_pipeline_under_roles.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from slipway.graph.aws_actions import load_aws_actions
from slipway_local.rights.evaluation import AccessRequest, Decision, Policies, denial_message, evaluate
from slipway_local.rights.policy import Policy, parse
from slipway_local.rights.principals import Principal
from tests.infra.ci_stacks import ACCOUNT, IGNORED, recorded, recorded_preview, statements
from tests.infra.iam_policies import allows, as_list
from tests.infra.recorder import Registered
from tests.infra.test_ci_permissions import key_and_repository, requests

SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/pipeline/GitHubActions"
SAMPLE = 30
"""Permissions that each role loses, one at a time."""
ROLES = {
    "pipelineRole": "slipway-dev-pipeline",
    "driftRole": "slipway-dev-drift",
    "previewRole": "slipway-dev-previews-pipeline",
}


@dataclass(frozen=True)
class Needed:
    """A request of a job."""

    action: str
    resource: str
    keys: dict[str, str]


def needed(role: str) -> Iterator[Needed]:
    """All that AWS asks of a role for the resources that its jobs work on."""
    base = recorded("dev", "on")
    made: tuple[list[Registered], set[str]] = recorded_preview() if role == "previewRole" else base
    stack = "slipway-pr-42" if role == "previewRole" else "slipway-dev"
    key, repository = key_and_repository(base[0])
    arns, table = {"KEY": key, "REPOSITORY": repository}, load_aws_actions()
    yield from (Needed(action, "*", {}) for token in made[1] for action in table.invokes[token])
    for resource in made[0]:
        if resource.type.startswith(IGNORED):
            continue
        for operation in table.operations(role, resource.type):
            for action in table.types[resource.type][operation]:
                for arn, context in requests(action, resource, operation, stack):
                    yield Needed(action, arns.get(arn, arn), context)


def policy(granted: list[dict[str, Any]]) -> Policy:
    return parse({"Version": "2012-10-17", "Statement": granted})


def decide(granted: Policy, request: Needed) -> tuple[Decision, str]:
    """The engine's decision, and what AWS would say where it refuses."""
    principal = Principal("role", SESSION, ACCOUNT, SESSION.replace(":sts:", ":iam:"))
    keys = {key.lower(): value for key, value in request.keys.items()}
    asked = AccessRequest(principal, request.action, request.resource, keys)
    decision = evaluate(asked, Policies(identity=[granted]))
    return decision, "" if decision.allowed else denial_message(asked, decision)


def without(granted: list[dict[str, Any]], action: str) -> list[dict[str, Any]]:
    """The statements without an action; one that a pattern allows is denied."""
    kept = [{**each, "Action": [name for name in as_list(each["Action"]) if name != action]} for each in granted]
    kept = [each for each in kept if each["Action"]]
    is_left = any("*" in name for each in kept for name in each["Action"])
    return [*kept, {"Effect": "Deny", "Action": action, "Resource": "*"}] if is_left else kept


@pytest.mark.parametrize("role", ROLES)
def test_the_engine_and_the_tests_own_iam_allow_the_same_requests(role: str) -> None:
    granted = statements(recorded("dev", "on")[0], ROLES[role])
    document, of_the_table = policy(granted), list(needed(role))
    assert len(of_the_table) > 30
    for request in of_the_table:
        assert decide(document, request)[1] == ""
        elsewhere = Needed(request.action, request.resource.replace("-dev", "-prod").replace("pr-42", "prod"), {})
        allowed = allows(granted, elsewhere.action, elsewhere.resource, elsewhere.keys)
        assert decide(document, elsewhere)[0].allowed is allowed, elsewhere


@pytest.mark.parametrize("role", ROLES)
def test_a_permission_that_a_role_lost_is_named_with_its_resource(role: str) -> None:
    granted = statements(recorded("dev", "on")[0], ROLES[role])
    by_action = {request.action: request for request in needed(role)}
    sample = sorted(by_action)[:: max(1, len(by_action) // SAMPLE)]
    assert len(sample) >= min(SAMPLE, len(by_action))
    for action in sample:
        _, message = decide(policy(without(granted, action)), by_action[action])
        assert f"is not authorized to perform: {action} on resource: {by_action[action].resource}" in message
