"""A small IAM: whether a policy's statements allow an action on a resource, for a request with these condition keys.

It knows what the pipeline's roles use: wildcards in actions and resources, `Deny`, and five condition operators. What
it does not know is an error, never a yes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

Context = Mapping[str, str]
NEGATIVE_KEYS = {"NotAction", "NotResource", "NotPrincipal"}


@cache
def _pattern(text: str, ignore_case: bool) -> re.Pattern[str]:
    parts = [{"*": ".*", "?": "."}.get(part, re.escape(part)) for part in re.split(r"([*?])", text)]
    return re.compile("".join(parts), re.IGNORECASE if ignore_case else 0)


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """Whether `text` is what IAM's pattern means: `*` any characters, `?` one."""
    return bool(_pattern(pattern, ignore_case).fullmatch(text))


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _condition_holds(operator: str, key: str, values: list[str], context: Context) -> bool:
    base = operator.removesuffix("IfExists")
    asked = context.get(key)
    if asked is None:
        return operator.endswith("IfExists")
    if base == "StringEquals":
        return asked in values
    if base in ("StringLike", "ArnLike", "ArnEquals"):  # AWS: ArnEquals and ArnLike behave alike
        return any(matches(value, asked) for value in values)
    if base == "Bool":
        return asked in [str(value).lower() for value in values]
    raise AssertionError(f"the tests' IAM does not know the condition operator {operator}")


def statement_matches(statement: Mapping[str, Any], action: str, resource: str, context: Context) -> bool:
    """Whether one statement, allowing or denying, is about this request."""
    assert not NEGATIVE_KEYS & set(statement), f"the tests' IAM does not know {statement}"
    return (
        any(matches(each, action, ignore_case=True) for each in as_list(statement["Action"]))
        and ("Resource" not in statement or any(matches(each, resource) for each in as_list(statement["Resource"])))
        and all(
            _condition_holds(operator, key, [str(each) for each in as_list(values)], context)
            for operator, tests in statement.get("Condition", {}).items()
            for key, values in tests.items()
        )
    )


def allows(statements: Iterable[Mapping[str, Any]], action: str, resource: str, context: Context | None = None) -> bool:
    """Whether the statements together allow the request: one allows it, and none denies it."""
    effects = {each["Effect"] for each in statements if statement_matches(each, action, resource, context or {})}
    return effects == {"Allow"}
