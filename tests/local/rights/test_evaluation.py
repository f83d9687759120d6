"""Decisions by identity, resource, boundary and session policies, in one account and across two."""

from __future__ import annotations

from typing import Any

import pytest

from slipway_local.rights.evaluation import AccessRequest, Decision, Policies, denial_message, evaluate
from slipway_local.rights.policy import Policy, parse
from slipway_local.rights.principals import Principal
from tests.local.rights.fakes import allow, deny, policy

OWN, OTHER = "111122223333", "444455556666"
SESSION = f"arn:aws:sts::{OWN}:assumed-role/deployer/job"
ROLE = f"arn:aws:iam::{OWN}:role/deployer"
CALLER = Principal("role", SESSION, OWN, ROLE)
KEY = f"arn:aws:kms:us-east-1:{OWN}:key/k"
YES = policy(allow("*"))
NOTHING = policy(allow("ec2:*"))
DENIES = policy(deny("s3:Get*"))


def of(*documents: str) -> list[Policy]:
    return [parse(each) for each in documents]


def resource(principal: Any, effect: str = "Allow") -> Policy:
    return parse(policy({"Effect": effect, "Principal": principal, "Action": "*", "Resource": "*"}))


def decision(account: str = OWN, caller: Principal = CALLER, **policies: Any) -> Decision:
    return evaluate(AccessRequest(caller, "s3:GetObject", "arn:aws:s3:::b/k", {}, account), Policies(**policies))


@pytest.mark.parametrize(
    ("policies", "is_allowed", "reason"),
    [
        ({"identity": of(YES)}, True, ""),
        ({}, False, "because no identity-based policy allows the s3:GetObject action"),
        ({"identity": of(YES, DENIES)}, False, "with an explicit deny in an identity-based policy"),
        ({"identity": of(YES), "boundary": of(NOTHING)}, False, "because no permissions boundary allows"),
        ({"identity": of(YES), "boundary": of(YES, DENIES)}, False, "with an explicit deny in a permissions boundary"),
        ({"identity": of(YES), "boundary": of(YES)}, True, ""),
        ({"boundary": of(YES)}, False, "because no identity-based policy allows"),
        ({"identity": of(YES), "session": of(NOTHING)}, False, "because no session policy allows"),
        ({"identity": of(YES), "session": []}, False, "because no session policy allows"),
        ({"identity": of(YES), "session": of(YES, DENIES)}, False, "with an explicit deny in a session policy"),
        (
            {"identity": of(YES), "resource": resource("*", "Deny")},
            False,
            "an explicit deny in a resource-based policy",
        ),
        ({"resource": resource({"AWS": ROLE})}, True, ""),
        ({"resource": resource({"AWS": OWN})}, False, "because no identity-based policy allows"),
        ({"identity": of(YES), "resource": resource({"AWS": OWN})}, True, ""),
        (
            {"resource": resource({"AWS": ROLE}), "boundary": of(NOTHING)},
            False,
            "because no permissions boundary allows",
        ),
        ({"resource": resource({"AWS": ROLE}), "session": of(NOTHING)}, False, "because no session policy allows"),
        ({"resource": resource({"AWS": SESSION}), "boundary": of(NOTHING), "session": of(NOTHING)}, True, ""),
        ({"resource": resource({"AWS": SESSION}), "session": of(DENIES)}, False, "explicit deny in a session policy"),
        ({"resource": resource({"AWS": OTHER})}, False, "because no identity-based policy allows"),
    ],
)
def test_in_ones_own_account(policies: dict[str, Any], is_allowed: bool, reason: str) -> None:
    made = decision(**policies)
    assert made.allowed is is_allowed
    if not is_allowed:
        assert reason in made.reason("s3:GetObject")


@pytest.mark.parametrize(
    ("policies", "is_allowed"),
    [
        ({"identity": of(YES)}, False),
        ({"resource": resource({"AWS": ROLE})}, False),
        ({"identity": of(YES), "resource": resource({"AWS": ROLE})}, True),
        ({"identity": of(YES), "resource": resource({"AWS": OWN})}, True),
        ({"identity": of(YES), "resource": resource("*")}, True),
        ({"identity": of(YES), "resource": resource({"AWS": OTHER})}, False),
        ({"identity": of(YES), "resource": resource({"AWS": SESSION}), "boundary": of(NOTHING)}, False),
        ({"identity": of(YES, DENIES), "resource": resource({"AWS": ROLE})}, False),
    ],
)
def test_across_accounts_both_sides_have_to_allow(policies: dict[str, Any], is_allowed: bool) -> None:
    assert decision(OTHER, **policies).allowed is is_allowed


@pytest.mark.parametrize(
    ("principal", "identity", "is_allowed"),
    [
        (None, of(YES), False),
        ({"AWS": OWN}, of(YES), True),
        ({"AWS": OWN}, [], False),
        ({"AWS": ROLE}, [], True),
        ({"AWS": OTHER}, of(YES), False),
    ],
)
def test_a_keys_policy_has_to_allow_its_own_account_too(
    principal: Any, identity: list[Policy], is_allowed: bool
) -> None:
    request = AccessRequest(CALLER, "kms:Decrypt", KEY, {}, OWN)
    key_policy = resource(principal) if principal else parse(NOTHING)
    assert evaluate(request, Policies(identity, resource=key_policy, resource_decides=True)).allowed is is_allowed


def test_the_person_is_allowed_everything_but_what_a_resource_denies() -> None:
    person = Principal("administrator", f"arn:aws:iam::{OWN}:root", OWN)
    assert decision(caller=person).allowed
    assert not decision(caller=person, resource=resource({"AWS": OWN}, "Deny")).allowed
    assert not decision(OTHER, caller=person).allowed


def test_nobody_in_particular_gets_what_everybody_gets() -> None:
    nobody = Principal("anonymous", "anonymous", "")
    assert not decision(caller=nobody, identity=of(YES)).allowed
    assert decision(caller=nobody, resource=resource("*")).allowed
    assert not decision(caller=nobody, resource=resource({"AWS": OWN})).allowed


def test_the_message_says_who_what_on_what_and_why() -> None:
    request = AccessRequest(CALLER, "s3:GetObject", "arn:aws:s3:::b/k", {}, OWN)
    assert denial_message(request, evaluate(request, Policies())) == (
        f"User: {SESSION} is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/k "
        "because no identity-based policy allows the s3:GetObject action"
    )
