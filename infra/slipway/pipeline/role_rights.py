"""Lists the permissions of an IAM role of a deployed stack as rows of a table, and their use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from slipway.config.errors import SlipwayError

Use = tuple[str, str]
"""An action that a role was allowed, and the ARN of the resource."""
_RANDOM_SUFFIX = re.compile(r"-[0-9a-f]{7}$")
_VARIABLE = re.compile(r"\$\{[^}]*\}")
_WILDCARDS = {"*": ".*", "?": "."}


@dataclass(frozen=True)
class RightsRow:
    """One action pattern on one resource pattern, under one condition."""

    policy: str
    effect: str
    action: str
    """As in the policy; `all but ...` for NotAction."""

    resource: str
    condition: str
    uses: tuple[str, ...] = ()
    """Actions that it has allowed so far, sorted; empty: never used."""


def find_role(iam: Any, prefix: str, role: str) -> str:
    """Returns the full name of a stack's role, by its name without the stack's prefix and Pulumi's random suffix.

    `prefix`: `<project>-<stack>`. Accepts the full name and the ARN too.

    Raises:
        SlipwayError: the stack has no such role; the message lists those that it has.
    """
    full_name = role.rpartition("/")[2]
    roles: dict[str, str] = {}
    for page in iam.get_paginator("list_roles").paginate():
        for entry in page["Roles"]:
            name = str(entry["RoleName"])
            if name == full_name:
                return name
            if name.startswith(f"{prefix}-"):
                roles[_RANDOM_SUFFIX.sub("", name).removeprefix(f"{prefix}-")] = name
    if role not in roles:
        names = ", ".join(sorted(roles)) or "none"
        raise SlipwayError(f"{prefix} has no role {role!r}; it has: {names}.", "slipway rights STACK ROLE")
    return roles[role]


def read_policies(iam: Any, role_name: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Returns name and document of a role's policies, inline ones first.

    Raises:
        botocore.exceptions.ClientError: there is no such role, or the caller may not read it.
    """
    policies: list[tuple[str, Mapping[str, Any]]] = []
    for page in iam.get_paginator("list_role_policies").paginate(RoleName=role_name):
        for name in page["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role_name, PolicyName=name)["PolicyDocument"]
            policies.append((name, _parsed(document)))
    for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=role_name):
        for attached in page["AttachedPolicies"]:
            policy = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]
            version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])
            policies.append((attached["PolicyName"], _parsed(version["PolicyVersion"]["Document"])))
    return policies


def list_rights(policies: Iterable[tuple[str, Mapping[str, Any]]], uses: Sequence[Use] = ()) -> list[RightsRow]:
    """Returns the rows of a role's policies in their order, each with the actions that it allowed in `uses`."""
    return [row for name, document in policies for row in _document_rows(name, document, uses)]


def list_unused(rows: Iterable[RightsRow]) -> list[RightsRow]:
    """Returns the rows with unused permissions, without denials."""
    return [row for row in rows if row.effect == "Allow" and not row.uses]


def _document_rows(policy: str, document: Mapping[str, Any], uses: Sequence[Use]) -> Iterator[RightsRow]:
    for statement in _as_list(document.get("Statement")):
        condition = _condition_text(statement.get("Condition") or {})
        for action, action_matches in _patterns(statement, "Action", ignores_case=True):
            for resource, resource_matches in _patterns(statement, "Resource", ignores_case=False):
                used = {use for use, arn in uses if action_matches(use) and resource_matches(arn)}
                yield RightsRow(policy, statement["Effect"], action, resource, condition, tuple(sorted(used)))


def _patterns(statement: Mapping[str, Any], element: str, *, ignores_case: bool) -> Iterator[tuple[str, Any]]:
    """Yields each pattern of Action or Resource, and a function that matches a value against it."""
    flags = re.DOTALL | (re.IGNORECASE if ignores_case else 0)
    excluded = [str(pattern) for pattern in _as_list(statement.get(f"Not{element}"))]
    if excluded:
        expressions = [_regex(pattern, flags) for pattern in excluded]
        yield (
            f"all but {', '.join(excluded)}",
            lambda value: not any(expression.fullmatch(value) for expression in expressions),
        )
    for pattern in _as_list(statement.get(element)):
        yield str(pattern), _regex(str(pattern), flags).fullmatch


@cache
def _regex(pattern: str, flags: int) -> re.Pattern[str]:
    """Returns a policy's pattern as a regular expression. A policy variable matches anything."""
    letters = _VARIABLE.sub("*", pattern)
    return re.compile("".join(_WILDCARDS.get(letter) or re.escape(letter) for letter in letters), flags)


def _condition_text(condition: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns conditions in one line: `StringEquals aws:RequestTag/stack = prod`."""
    return "; ".join(
        f"{operator} {key} = {value if isinstance(value, str) else json.dumps(value)}"
        for operator, keys in condition.items()
        for key, value in keys.items()
    )


def _parsed(document: Any) -> Mapping[str, Any]:
    parsed: Mapping[str, Any] = json.loads(document) if isinstance(document, str) else document
    return parsed


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
