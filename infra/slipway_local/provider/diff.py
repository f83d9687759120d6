"""Differences between two sets of inputs, and between written and actual values in a refresh."""

from __future__ import annotations

import json
from typing import Any

from slipway_local.provider.resource_type import Properties, ResourceType


def changed_inputs(resource_type: ResourceType, old: Properties, new: Properties) -> list[str]:
    """Returns the inputs that differ, in alphabetical order."""
    names = (set(old) | set(new)) - resource_type.ignored_in_diff - {"__defaults"}
    return sorted(name for name in names if old.get(name) != new.get(name))


def normalize_to_written(written: Any, actual: Any) -> Any:
    """`actual` in the form in which the program wrote it, so that only a real difference remains.

    AWS adds defaults, sorts lists and reformats JSON documents: none of that is drift.
    """
    if isinstance(written, dict) and isinstance(actual, dict):
        if written and actual and written.keys().isdisjoint(actual):
            return actual  # another choice: {"block": {}} is not {"count": {}}
        return {key: normalize_to_written(value, actual.get(key)) for key, value in written.items()}
    if isinstance(written, list) and isinstance(actual, list):
        return _normalize_list(written, actual)
    if isinstance(written, str) and isinstance(actual, str) and written != actual:
        return written if _is_same_json(written, actual) else actual
    if isinstance(written, str) and isinstance(actual, int | float | bool) and written == _text(actual):
        return written
    if written in (False, 0, "", [], {}) and actual is None:
        return written
    return actual


def _normalize_list(written: list[Any], actual: list[Any]) -> list[Any]:
    if len(written) != len(actual):
        return actual
    pairwise = [normalize_to_written(left, right) for left, right in zip(written, actual, strict=True)]
    if pairwise == written:
        return written
    rest = list(actual)
    for item in written:
        match = next((other for other in rest if normalize_to_written(item, other) == item), None)
        if match is None:
            return actual
        rest.remove(match)
    return written


def _is_same_json(left: str, right: str) -> bool:
    try:
        one = json.loads(left)
        other = json.loads(right)
    except ValueError:
        return False
    return bool(normalize_to_written(one, other) == one)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
