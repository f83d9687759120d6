"""Policy documents: what their Action, Resource and Principal elements name."""

from __future__ import annotations

from typing import Any

import pytest

from slipway_local.rights.policy import Statement, parse
from slipway_local.rights.principals import Naming, Principal, naming, principal_error


def statement(**elements: Any) -> Statement:
    whole = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"} | elements
    if "NotResource" in elements:
        del whole["Resource"]
    if "NotAction" in elements:
        del whole["Action"]
    return parse({"Version": elements.pop("Version", "2012-10-17"), "Statement": whole}).statements[0]


@pytest.mark.parametrize(
    ("pattern", "action", "is_covered"),
    [
        ("*", "ecs:RunTask", True),
        ("ecs:*", "ecs:RunTask", True),
        ("ECS:run*", "ecs:RunTask", True),
        ("ecs:Run?ask", "ecs:RunTask", True),
        ("ecs:Run", "ecs:RunTask", False),
        ("ecs:RunTask", "ecs:RunTasks", False),
        ("s3:Get.bject", "s3:GetObject", False),
    ],
)
def test_actions_match_without_case_and_by_wildcard(pattern: str, action: str, is_covered: bool) -> None:
    assert statement(Action=pattern).covers_action(action) is is_covered
    assert statement(NotAction=pattern).covers_action(action) is not is_covered


@pytest.mark.parametrize(
    ("pattern", "resource", "is_covered"),
    [
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b/a/b:c", True),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b", False),
        ("arn:aws:s3:::B", "arn:aws:s3:::b", False),
        ("arn:aws:sqs:*:*:jobs", "arn:aws:sqs:us-east-1:111122223333:jobs", True),
        ("arn:aws:sqs:*:jobs", "arn:aws:sqs:us-east-1:111122223333:jobs", False),  # a wildcard ends at its colon
        ("arn:aws:sqs:*", "arn:aws:sqs:us-east-1:111122223333:jobs", True),  # missing segments are wildcards
        ("*", "*", True),
        ("arn:aws:iam::*:role/*", "*", False),  # an action without resource wants the star
        ("arn:aws:ec2:*:*:vpc/*", "arn:aws:ec2:us-east-1:1:vpc/*", True),
        ("arn:aws:ec2:*:*:vpc/vpc-1", "arn:aws:ec2:us-east-1:1:vpc/*", False),
    ],
)
def test_resources_match_by_the_segments_of_an_arn(pattern: str, resource: str, is_covered: bool) -> None:
    assert statement(Resource=pattern).covers_resource(resource, {}) is is_covered
    assert statement(NotResource=pattern).covers_resource(resource, {}) is not is_covered


@pytest.mark.parametrize(
    ("pattern", "keys", "is_covered"),
    [
        ("arn:aws:s3:::b/${aws:username}/*", {"aws:username": "ana"}, True),
        ("arn:aws:s3:::b/${AWS:UserName}/*", {"aws:username": "ana"}, True),
        ("arn:aws:s3:::b/${aws:username}/*", {"aws:username": "eve"}, False),
        ("arn:aws:s3:::b/${aws:username}/*", {"aws:username": "*"}, False),  # a value's wildcard is text
        ("arn:aws:s3:::b/${aws:username}/*", {}, False),
        ("arn:aws:s3:::b/${aws:username, 'ana'}/*", {}, True),
        ("arn:aws:s3:::b/${aws:username, 'ana'}/*", {"aws:username": "eve"}, False),
        ("arn:aws:s3:::b/${aws:TagKeys}/*", {"aws:tagkeys": ["ana"]}, False),  # of several values none is meant
        ("arn:aws:s3:::b/a${*}a/*", {}, False),
    ],
)
def test_variables_have_the_requests_values(pattern: str, keys: dict[str, Any], is_covered: bool) -> None:
    assert statement(Resource=pattern).covers_resource("arn:aws:s3:::b/ana/x", keys) is is_covered


def test_literal_wildcards_are_text() -> None:
    assert statement(Resource="arn:aws:s3:::b/a${*}a").covers_resource("arn:aws:s3:::b/a*a", {})


def test_an_old_version_knows_no_variables() -> None:
    old = parse(
        {"Version": "2008-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::${a}"}}
    )
    assert old.statements[0].covers_resource("arn:aws:s3:::${a}", {"a": "b"})
    assert not old.statements[0].covers_resource("arn:aws:s3:::b", {"a": "b"})


def test_an_exception_that_nobody_knows_is_read_strictly() -> None:
    excepted = "arn:aws:s3:::b/${aws:username}/*"
    assert not statement(NotResource=excepted).covers_resource("arn:aws:s3:::b/x", {})
    assert statement(NotResource=excepted, Effect="Deny").covers_resource("arn:aws:s3:::b/x", {})


@pytest.mark.parametrize("document", ["[]", "no json", '{"Statement": [{"Effect": "Allow"}]}', '{"Statement": ["x"]}'])
def test_what_is_no_policy_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(document)


SESSION = "arn:aws:sts::111122223333:assumed-role/deployer/job"
ROLE = "arn:aws:iam::111122223333:role/ci/deployer"


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ("*", Naming.ANYONE),
        ({"AWS": "*"}, Naming.ANYONE),
        ({"AWS": "111122223333"}, Naming.ACCOUNT),
        ({"AWS": "arn:aws:iam::111122223333:root"}, Naming.ACCOUNT),
        ({"AWS": "arn:aws:iam::444455556666:root"}, Naming.NONE),
        ({"AWS": ["arn:aws:iam::444455556666:root", ROLE]}, Naming.ROLE),
        ({"AWS": "arn:aws:iam::111122223333:role/deployer"}, Naming.NONE),  # the path is part of the ARN
        ({"AWS": SESSION}, Naming.DIRECT),
        ({"Service": "ecs-tasks.amazonaws.com"}, Naming.NONE),
        ({"Federated": "*"}, Naming.NONE),
    ],
)
def test_a_principal_is_named_by_account_role_session_or_star(principal: Any, expected: Naming) -> None:
    caller = Principal("role", SESSION, "111122223333", ROLE)
    assert naming(statement(Principal=principal), caller) == expected
    excluded = Naming.NONE if expected else Naming.ANYONE
    assert naming(statement(NotPrincipal=principal), caller) == excluded


@pytest.mark.parametrize(
    ("excepted", "is_denied"),
    [
        ([ROLE], True),
        ([SESSION], True),
        (["111122223333"], True),
        ([ROLE, SESSION, "111122223333"], False),
        (["*"], False),
    ],
)
def test_a_denial_spares_only_whom_it_names_in_full(excepted: list[str], is_denied: bool) -> None:
    caller = Principal("role", SESSION, "111122223333", ROLE)
    denial = statement(Effect="Deny", NotPrincipal={"AWS": excepted})
    assert bool(naming(denial, caller)) is is_denied


def test_services_and_issuers_are_named_by_themselves_only() -> None:
    service = Principal("service", "ecs-tasks.amazonaws.com", "")
    assert naming(statement(Principal={"Service": ["a", "ecs-tasks.amazonaws.com"]}), service) == Naming.DIRECT
    assert naming(statement(Principal={"AWS": "111122223333"}), service) == Naming.NONE


def test_wildcards_inside_a_principals_arn_are_an_error() -> None:
    assert principal_error("arn:aws:iam::111122223333:role/*")
    assert principal_error(ROLE) is None
