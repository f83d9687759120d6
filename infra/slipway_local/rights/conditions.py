"""Evaluates the Condition element of a policy statement.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from slipway_local.rights.policy import Condition, Keys, Statement, substitute, wildcard_regex

Test = Callable[[str, str], bool]
_ARN_COLONS = 5


def conditions_hold(statement: Statement, keys: Keys) -> bool:
    """Whether every condition of the statement holds for these keys."""
    return all(condition_holds(condition, keys, statement.has_variables) for condition in statement.conditions)


def condition_holds(condition: Condition, keys: Keys, has_variables: bool = True) -> bool:
    """Whether one condition holds. An operator that IAM does not have holds for nothing."""
    prefix, _, rest = condition.operator.rpartition(":")
    name = rest.removesuffix("IfExists").lower()
    actual = keys.get(condition.key)
    if name == "null":
        return any(value.lower() == ("true" if actual is None else "false") for value in condition.values)
    if name not in _OPERATORS:
        return False
    negated, test = _OPERATORS[name]
    expected = [substitute(value, keys) if has_variables else value for value in condition.values]

    def matches(value: str) -> bool:
        return any(each is not None and test(value, each) for each in expected) != negated

    match prefix.lower():
        case "forallvalues":
            return all(matches(value) for value in _several(actual))
        case "foranyvalue":
            return any(matches(value) for value in _several(actual))
        case "":
            if actual is None:
                return negated or rest.endswith("IfExists")
            return isinstance(actual, str) and matches(actual)
        case _:
            return False


def _several(actual: str | Sequence[str] | None) -> Sequence[str]:
    if actual is None:
        return ()
    return (actual,) if isinstance(actual, str) else actual


def _text(value: str) -> str:
    """Returns a substituted value as plain text: the marks of literal wildcards are wildcards' characters again."""
    return value.replace("\0", "*").replace("\1", "?")


def _equals(actual: str, expected: str) -> bool:
    return actual == _text(expected)


def _equals_ignore_case(actual: str, expected: str) -> bool:
    return actual.lower() == _text(expected).lower()


def _like(actual: str, expected: str) -> bool:
    return wildcard_regex(expected).match(actual) is not None


def _arn_like(actual: str, expected: str) -> bool:
    """Compares each of an ARN's six segments; a wildcard does not reach over a colon but in the last."""
    actual_parts = actual.split(":", _ARN_COLONS)
    expected_parts = expected.split(":", _ARN_COLONS)
    if len(actual_parts) != len(expected_parts):
        return False
    return all(_like(part, pattern) for part, pattern in zip(actual_parts, expected_parts, strict=True))


def _numeric(compare: Callable[[float, float], bool]) -> Test:
    def test(actual: str, expected: str) -> bool:
        try:
            return compare(float(actual), float(expected))
        except ValueError:
            return False

    return test


def _date(compare: Callable[[float, float], bool]) -> Test:
    def test(actual: str, expected: str) -> bool:
        first, second = _seconds(actual), _seconds(expected)
        return first is not None and second is not None and compare(first, second)

    return test


@lru_cache(maxsize=4096)
def _seconds(value: str) -> float | None:
    """Returns seconds since 1970 of an ISO 8601 date or of a number of seconds."""
    try:
        return float(value)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _bool(actual: str, expected: str) -> bool:
    return expected.lower() in ("true", "false") and actual.lower() == expected.lower()


def _ip(actual: str, expected: str) -> bool:
    try:
        return ipaddress.ip_address(actual) in _network(expected)
    except ValueError:
        return False


@lru_cache(maxsize=4096)
def _network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(value, strict=False)


def _binary(actual: str, expected: str) -> bool:
    try:
        return base64.b64decode(actual, validate=True) == base64.b64decode(expected, validate=True)
    except (binascii.Error, ValueError):
        return False


def _less(a: float, b: float) -> bool:
    return a < b


def _at_most(a: float, b: float) -> bool:
    return a <= b


def _same(a: float, b: float) -> bool:
    return a == b


_OPERATORS: dict[str, tuple[bool, Test]] = {
    "stringequals": (False, _equals),
    "stringnotequals": (True, _equals),
    "stringequalsignorecase": (False, _equals_ignore_case),
    "stringnotequalsignorecase": (True, _equals_ignore_case),
    "stringlike": (False, _like),
    "stringnotlike": (True, _like),
    "arnequals": (False, _arn_like),
    "arnlike": (False, _arn_like),
    "arnnotequals": (True, _arn_like),
    "arnnotlike": (True, _arn_like),
    "numericequals": (False, _numeric(_same)),
    "numericnotequals": (True, _numeric(_same)),
    "numericlessthan": (False, _numeric(_less)),
    "numericlessthanequals": (False, _numeric(_at_most)),
    "numericgreaterthan": (False, _numeric(lambda a, b: _less(b, a))),
    "numericgreaterthanequals": (False, _numeric(lambda a, b: _at_most(b, a))),
    "dateequals": (False, _date(_same)),
    "datenotequals": (True, _date(_same)),
    "datelessthan": (False, _date(_less)),
    "datelessthanequals": (False, _date(_at_most)),
    "dategreaterthan": (False, _date(lambda a, b: _less(b, a))),
    "dategreaterthanequals": (False, _date(lambda a, b: _at_most(b, a))),
    "bool": (False, _bool),
    "ipaddress": (False, _ip),
    "notipaddress": (True, _ip),
    "binaryequals": (False, _binary),
}
"""Operator in lower case: whether it is a negation, and how a value of the request compares with one of the policy."""
