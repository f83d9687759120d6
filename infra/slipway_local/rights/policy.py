"""Parses IAM policy documents and matches their Action, Resource and Principal elements.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

Keys = Mapping[str, str | Sequence[str]]
"""Condition keys of a request, their names in lower case; several values where the key has several."""

VARIABLES_SINCE = "2012-10-17"
"""Policy version that knows policy variables: in an older document `${...}` is ordinary text."""

_TOKEN = re.compile(r"\$\{([^}]*)\}|([*?])")
_DEFAULT = re.compile(r"^([^,]+?)\s*,\s*'([^']*)'$")
_ESCAPED = {"*", "?", "$"}
_ARN_SEGMENTS = 6


@dataclass(frozen=True)
class Condition:
    """One operator with one key: `{"StringLike": {"s3:prefix": ["a/*", "b/*"]}}` is one condition."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """One statement of a policy. An element that the statement does not have is None."""

    sid: str
    effect: Literal["Allow", "Deny"]
    actions: tuple[str, ...] | None
    not_actions: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    not_resources: tuple[str, ...] | None
    principals: Mapping[str, tuple[str, ...]] | None
    not_principals: Mapping[str, tuple[str, ...]] | None
    conditions: tuple[Condition, ...]
    has_variables: bool

    def covers_action(self, action: str) -> bool:
        """Whether Action (or NotAction) names this action. Case does not matter."""
        if self.actions is not None:
            return any(action_pattern(pattern).match(action) for pattern in self.actions)
        return not any(action_pattern(pattern).match(action) for pattern in self.not_actions or ())

    def covers_resource(self, resource: str, keys: Keys) -> bool:
        """Whether Resource (or NotResource) names this ARN; a statement with neither covers every resource."""
        if self.resources is not None:
            return any(self._matches(pattern, resource, keys) for pattern in self.resources)
        if self.not_resources is not None:
            if any(self._lacks_variable(pattern, keys) for pattern in self.not_resources):
                return self.effect == "Deny"  # the excepted resources are unknown: the stricter reading
            return not any(self._matches(pattern, resource, keys) for pattern in self.not_resources)
        return True

    def _lacks_variable(self, pattern: str, keys: Keys) -> bool:
        return self.has_variables and "${" in pattern and resource_regex(pattern, keys) is None

    def _matches(self, pattern: str, resource: str, keys: Keys) -> bool:
        if self.has_variables and "${" in pattern:
            regex = resource_regex(pattern, keys)
            return regex is not None and re.match(regex, resource, re.DOTALL) is not None
        return _resource_pattern(pattern, self.has_variables).match(resource) is not None


@dataclass(frozen=True)
class Policy:
    """A parsed policy document."""

    statements: tuple[Statement, ...]
    name: str = ""


def parse(document: str | Mapping[str, Any], name: str = "") -> Policy:
    """Returns the parsed document.

    Raises:
        ValueError: the document is not JSON, or a statement lacks what IAM's grammar asks for.
    """
    text = document if isinstance(document, str) else json.dumps(document, sort_keys=True)
    return Policy(_parse_text(text), name)


@lru_cache(maxsize=4096)
def _parse_text(text: str) -> tuple[Statement, ...]:
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("A policy is a JSON object with a Statement.")
    statements = document.get("Statement", [])
    has_variables = document.get("Version") == VARIABLES_SINCE
    return tuple(
        _statement(each, has_variables) for each in ([statements] if isinstance(statements, dict) else statements)
    )


def _statement(raw: Any, has_variables: bool) -> Statement:
    if not isinstance(raw, dict) or raw.get("Effect") not in ("Allow", "Deny"):
        raise ValueError(f"A statement needs Effect: Allow or Deny, this one does not have it: {raw!r}")
    if ("Action" in raw) == ("NotAction" in raw):
        raise ValueError(f"A statement needs either Action or NotAction: {raw!r}")
    return Statement(
        sid=str(raw.get("Sid", "")),
        effect=raw["Effect"],
        actions=_strings(raw, "Action"),
        not_actions=_strings(raw, "NotAction"),
        resources=_strings(raw, "Resource"),
        not_resources=_strings(raw, "NotResource"),
        principals=_principals(raw.get("Principal")),
        not_principals=_principals(raw.get("NotPrincipal")),
        conditions=_conditions(raw.get("Condition") or {}),
        has_variables=has_variables,
    )


def _strings(raw: Mapping[str, Any], element: str) -> tuple[str, ...] | None:
    return as_strings(raw[element]) if element in raw else None


def as_strings(value: Any) -> tuple[str, ...]:
    """Returns one value or a list of values as strings; JSON's booleans as `true` and `false`."""
    values: Iterable[Any] = value if isinstance(value, (list, tuple)) else [value]
    return tuple(str(each).lower() if isinstance(each, bool) else str(each) for each in values)


def _principals(raw: Any) -> Mapping[str, tuple[str, ...]] | None:
    if raw is None:
        return None
    if raw == "*":
        return {"AWS": ("*",)}
    if not isinstance(raw, dict):
        raise ValueError(f"Principal is '*' or an object, this one is {raw!r}")
    return {kind: as_strings(value) for kind, value in raw.items()}


def _conditions(raw: Mapping[str, Mapping[str, Any]]) -> tuple[Condition, ...]:
    return tuple(
        Condition(operator, key.lower(), as_strings(value))
        for operator, block in raw.items()
        for key, value in block.items()
    )


@lru_cache(maxsize=16384)
def action_pattern(pattern: str) -> re.Pattern[str]:
    """Returns the compiled pattern of an Action element."""
    return re.compile(_wildcards(pattern) + r"\Z", re.IGNORECASE | re.DOTALL)


@lru_cache(maxsize=16384)
def _resource_pattern(pattern: str, has_variables: bool) -> re.Pattern[str]:
    regex = resource_regex(pattern, {}) if has_variables else _segments(pattern, _wildcards, _wildcards_in_segment)
    return re.compile(regex or r"(?!)", re.DOTALL)


def resource_regex(pattern: str, keys: Keys) -> str | None:
    """Returns the regular expression of a Resource element, or None when a policy variable in it has no value.

    A wildcard in one of the first five segments of an ARN does not reach over its colon. Missing segments are `*`.
    """
    if pattern == "*":
        return ".*"
    replaced = _replace_variables(pattern, keys)
    return None if replaced is None else _segments(replaced, _wildcards_escaped, _wildcards_escaped_in_segment)


def _segments(pattern: str, whole: Any, segment: Any) -> str:
    if not pattern.startswith("arn:"):
        return str(whole(pattern)) + r"\Z"
    parts = pattern.split(":", _ARN_SEGMENTS - 1)
    parts += ["*"] * (_ARN_SEGMENTS - len(parts))
    return ":".join([*map(segment, parts[:-1]), whole(parts[-1])]) + r"\Z"


_LITERAL = {"*": "\0", "?": "\1", "$": "$"}


def _replace_variables(pattern: str, keys: Keys) -> str | None:
    """Returns the pattern with its variables' values, whose own wildcards are text; None when one has no value."""
    missing = False

    def value(match: re.Match[str]) -> str:
        nonlocal missing
        name = match.group(1)
        if name is None:
            return match.group(2)
        if name in _ESCAPED:
            return _LITERAL[name]
        found = variable(name, keys)
        missing = missing or found is None
        return (found or "").replace("*", "\0").replace("?", "\1")

    replaced = _TOKEN.sub(value, pattern)
    return None if missing else replaced


def variable(name: str, keys: Keys) -> str | None:
    """Returns the value of a policy variable, its default where the request has no such key, or None."""
    default = _DEFAULT.match(name)
    found = keys.get((default.group(1) if default else name).strip().lower())
    if isinstance(found, str) and found:
        return found
    return default.group(2) if default and default.group(2) and found is None else None


def substitute(value: str, keys: Keys) -> str | None:
    """Returns a condition's value with its variables replaced, wildcards of values kept as text by `\\0` and `\\1`."""
    return _replace_variables(value, keys) if "${" in value else value


def wildcard_regex(value: str, ignore_case: bool = False) -> re.Pattern[str]:
    """Returns the pattern of a value that `substitute` made, for StringLike and ArnLike."""
    return _wildcard_pattern(value, ignore_case)


@lru_cache(maxsize=16384)
def _wildcard_pattern(value: str, ignore_case: bool) -> re.Pattern[str]:
    return re.compile(_wildcards_escaped(value) + r"\Z", re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _wildcards(pattern: str, any_character: str = ".") -> str:
    return "".join({"*": f"{any_character}*", "?": any_character}.get(char) or re.escape(char) for char in pattern)


def _wildcards_in_segment(pattern: str) -> str:
    return _wildcards(pattern, "[^:]")


def _wildcards_escaped(pattern: str, any_character: str = ".") -> str:
    return _wildcards(pattern, any_character).replace(re.escape("\0"), r"\*").replace(re.escape("\1"), r"\?")


def _wildcards_escaped_in_segment(pattern: str) -> str:
    return _wildcards_escaped(pattern, "[^:]")
