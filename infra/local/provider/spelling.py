"""Nested properties as AWS's API spells them and as Pulumi does: the same words, with another first letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NONE: Mapping[str, str] = {}


def as_amazon(value: Any, unlike: Mapping[str, str] = NONE) -> Any:
    """Pulumi's names as AWS's; `unlike` has those that differ in more than the first letter."""
    if isinstance(value, list):
        return [as_amazon(item, unlike) for item in value]
    if not isinstance(value, dict):
        return value
    return {unlike.get(key, key[:1].upper() + key[1:]): as_amazon(item, unlike) for key, item in value.items()}


def as_pulumi(value: Any, unlike: Mapping[str, str] = NONE) -> Any:
    """AWS's names as Pulumi's; `unlike` is the same table as `as_amazon`'s."""
    return _as_pulumi(value, {name: key for key, name in unlike.items()})


def _as_pulumi(value: Any, unlike: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_as_pulumi(item, unlike) for item in value]
    if not isinstance(value, dict):
        return value
    return {unlike.get(key, key[:1].lower() + key[1:]): _as_pulumi(item, unlike) for key, item in value.items()}
