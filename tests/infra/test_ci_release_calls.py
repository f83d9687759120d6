"""Every call to AWS in the modules that an `up` of the pipeline runs is in the pipeline role's policies.

Found in the sources: a method or a paginator that has the name of an operation of one of the services.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from slipway_local.rights.action_names import actions_of_operation
from tests.infra.ci_stacks import recorded, statements
from tests.infra.iam_policies import as_list, matches
from tests.paths import ROOT

RELEASE = ROOT / "infra" / "slipway" / "release"
SERVICES = ("application-autoscaling", "cloudwatch", "ecr", "ecs", "elbv2", "logs", "secretsmanager", "sqs")
PREFIXES = {"elbv2": "elasticloadbalancing"}
NOT_BY_A_RELEASE = {
    "elasticloadbalancing:ModifyLoadBalancerAttributes": "where app.yaml's requestTimeout changes: infrastructure",
    "elasticloadbalancing:ModifyTargetGroupAttributes": "where the deploy profile changes: infrastructure",
    "sqs:SetQueueAttributes": "where app.yaml's jobTimeout changes: infrastructure",
}
"""Action -> when it is asked for: by a person's `up`, as docs/pipeline.md says."""
OTHER_ROLES = {"pause_steps"}
"""Modules with a role of their own: the off-hours task's."""


def release_modules() -> set[Path]:
    """The modules of `release/` that the program imports, and those that these import."""
    found: set[Path] = set()
    waiting = [*(ROOT / "infra" / "slipway" / "program").glob("*.py"), *(RELEASE.parent / "components").glob("*.py")]
    while waiting:
        for node in ast.walk(ast.parse(waiting.pop().read_text())):
            module = node.module if isinstance(node, ast.ImportFrom) else ""
            path = RELEASE / f"{(module or '').rpartition('.')[2]}.py"
            if (module or "").startswith("slipway.release.") and path not in found and path.stem not in OTHER_ROLES:
                found.add(path)
                waiting.append(path)
    return found


@cache
def actions() -> dict[str, set[str]]:
    """Method of a client -> its actions, one of each service that has an operation of this name."""
    session, found = botocore.session.get_session(), defaultdict(set)
    for service in SERVICES:
        for operation in session.get_service_model(service).operation_names:
            asked = actions_of_operation(PREFIXES.get(service, service), operation, "POST", {})
            found[xform_name(operation)].update(asked)
    return found


def calls(path: Path) -> set[str]:
    """The methods of clients and the names of paginators in a module."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return names & set(actions())


def test_the_modules_are_found() -> None:
    names = {path.stem for path in release_modules()}
    assert {"verify", "shared_timeouts", "standalone_task", "preflight"} <= names


@pytest.mark.parametrize("path", sorted(release_modules()), ids=lambda path: path.stem)
def test_the_pipelines_role_may_make_every_call_of_a_release(path: Path) -> None:
    granted = statements(recorded("prod", "on")[0], "slipway-prod-pipeline")
    patterns = [each for statement in granted for each in as_list(statement["Action"])]
    names = calls(path)
    allowed = {a for name in names for a in actions()[name] if any(matches(p, a) for p in patterns)}
    lacking = {name for name in names if not actions()[name] & (allowed | set(NOT_BY_A_RELEASE))}
    assert lacking == set()
