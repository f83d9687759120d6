"""Condition operators: what holds for which values, and for none."""

from __future__ import annotations

from typing import Any

import pytest

from slipway_local.rights.conditions import condition_holds
from slipway_local.rights.policy import Condition

WEB = "arn:aws:ecs:us-east-1:1:service/app/web"


def holds(operator: str, expected: Any, actual: Any) -> bool:
    values = tuple(expected) if isinstance(expected, list) else (expected,)
    keys = {} if actual is None else {"the:key": actual}
    return condition_holds(Condition(operator, "the:key", values), keys)


@pytest.mark.parametrize(
    ("operator", "expected", "actual"),
    [
        ("StringEquals", "prod", "prod"),
        ("stringequals", ["a", "prod"], "prod"),
        ("StringEqualsIgnoreCase", "PROD", "prod"),
        ("StringLike", "p?o*", "prod/x"),
        ("NumericEquals", "10.0", "10"),
        ("NumericLessThan", "11", "10"),
        ("NumericLessThanEquals", "10", "10"),
        ("NumericGreaterThan", "9", "10"),
        ("NumericGreaterThanEquals", "10", "10"),
        ("DateEquals", "2026-11-29T12:00:00Z", "1795953600"),
        ("DateLessThan", "2026-11-30T00:00:00Z", "2026-11-29T12:00:00Z"),
        ("DateLessThanEquals", "2026-11-29", "2026-11-29T00:00:00Z"),
        ("DateGreaterThan", "2026-11-29T13:00:00+02:00", "2026-11-29T12:00:00Z"),
        ("DateGreaterThanEquals", "0", "2026-11-29T12:00:00Z"),
        ("Bool", "true", "True"),
        ("IpAddress", "10.0.0.0/8", "10.1.2.3"),
        ("IpAddress", "2001:db8::/32", "2001:db8::1"),
        ("ArnEquals", "arn:aws:ecs:*:*:service/app/*", WEB),
        ("ArnLike", "arn:aws:ecs:*:*:service/*", WEB),
        ("BinaryEquals", "QmluYXJ5", "QmluYXJ5"),
        ("Null", "false", "anything"),
    ],
)
def test_a_value_that_is_meant_holds(operator: str, expected: Any, actual: str) -> None:
    assert holds(operator, expected, actual)
    if operator != "Null":
        assert not holds(operator, expected, None), "without the key it does not"
        assert holds(f"{operator}IfExists", expected, None), "IfExists asks only where the key is"
        assert holds(f"{operator}IfExists", expected, actual)


@pytest.mark.parametrize(
    ("operator", "expected", "actual"),
    [
        ("StringEquals", "Prod", "prod"),
        ("StringEquals", "p*", "prod"),
        ("StringLike", "P*", "prod"),
        ("NumericEquals", "ten", "10"),
        ("NumericLessThan", "10", "10"),
        ("DateGreaterThan", "no date", "2026-11-29T12:00:00Z"),
        ("Bool", "true", "false"),
        ("IpAddress", "10.0.0.0/8", "11.1.2.3"),
        ("IpAddress", "10.0.0.0/8", "no address"),
        ("ArnLike", "arn:aws:ecs:*", WEB),
        ("ArnLike", "arn:aws:*:app/web", WEB),
        ("BinaryEquals", "QmluYXJ5", "QQ=="),
        ("Null", "true", "anything"),
        ("NoSuchOperator", "x", "x"),
        ("StringEquals", "a", ["a"]),  # a key with several values wants ForAllValues or ForAnyValue
    ],
)
def test_another_value_does_not(operator: str, expected: Any, actual: Any) -> None:
    assert not holds(operator, expected, actual)


@pytest.mark.parametrize(
    ("operator", "expected", "same", "other"),
    [
        ("StringNotEquals", ["prod", "staging"], "prod", "dev"),
        ("StringNotEqualsIgnoreCase", "PROD", "prod", "dev"),
        ("StringNotLike", "p*", "prod", "dev"),
        ("NumericNotEquals", "10", "10.0", "11"),
        ("DateNotEquals", "2026-11-29", "2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z"),
        ("NotIpAddress", "10.0.0.0/8", "10.1.2.3", "11.1.2.3"),
        ("ArnNotEquals", WEB, WEB, WEB + "2"),
        ("ArnNotLike", "arn:aws:ecs:*:*:service/app/*", WEB, "arn:aws:ecs:us-east-1:1:task/app/x"),
    ],
)
def test_a_negation_holds_for_none_of_its_values_and_without_the_key(
    operator: str, expected: Any, same: str, other: str
) -> None:
    assert not holds(operator, expected, same)
    assert holds(operator, expected, other)
    assert holds(operator, expected, None)


@pytest.mark.parametrize(
    ("operator", "actual", "is_held"),
    [
        ("ForAllValues:StringEquals", ["Stack", "Owner"], True),
        ("ForAllValues:StringEquals", ["Stack", "Other"], False),
        ("ForAllValues:StringEquals", [], True),
        ("ForAllValues:StringEquals", None, True),
        ("ForAllValues:StringEquals", "Stack", True),
        ("ForAnyValue:StringEquals", ["Stack", "Other"], True),
        ("ForAnyValue:StringEquals", ["Other"], False),
        ("ForAnyValue:StringEquals", None, False),
        ("ForAnyValue:StringEqualsIfExists", None, False),
        ("ForAllValues:StringNotEquals", ["Other"], True),
        ("ForAllValues:StringNotEquals", ["Other", "Stack"], False),
        ("ForAnyValue:StringNotEquals", ["Other", "Stack"], True),
        ("ForNoValue:StringEquals", ["Stack"], False),
    ],
)
def test_several_values_are_asked_one_by_one(operator: str, actual: Any, is_held: bool) -> None:
    assert holds(operator, ["Stack", "Owner"], actual) is is_held


def test_null_is_of_the_keys_absence() -> None:
    assert holds("Null", "true", None)
    assert not holds("Null", "false", None)


def test_a_conditions_value_may_be_a_variable() -> None:
    keys = {"aws:requesttag/stack": "prod", "aws:principaltag/stack": "prod"}
    same = Condition("StringEquals", "aws:requesttag/stack", ("${aws:PrincipalTag/Stack}",))
    assert condition_holds(same, keys)
    assert not condition_holds(same, keys | {"aws:principaltag/stack": "staging"})
    assert not condition_holds(same, {"aws:requesttag/stack": "prod"}), "a variable without a value equals nothing"
    assert not condition_holds(same, keys, has_variables=False), "to an old document it is text"
