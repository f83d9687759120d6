"""Nested properties as AWS's API spells them and as Pulumi does: the same words, with another first letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NO_EXCEPTIONS: Mapping[str, str] = {}


def to_aws_case(value: Any, unlike: Mapping[str, str] = NO_EXCEPTIONS) -> Any:
    """Pulumi's names as AWS's; `unlike` has those that differ in more than the first letter."""
    if isinstance(value, list):
        return [to_aws_case(item, unlike) for item in value]
    if not isinstance(value, dict):
        return value
    return {unlike.get(key, key[:1].upper() + key[1:]): to_aws_case(item, unlike) for key, item in value.items()}


def to_pulumi_case(value: Any, unlike: Mapping[str, str] = NO_EXCEPTIONS) -> Any:
    """AWS's names as Pulumi's; `unlike` is the same table as `as_amazon`'s."""
    return _to_pulumi_case(value, {name: key for key, name in unlike.items()})


def _to_pulumi_case(value: Any, unlike: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_to_pulumi_case(item, unlike) for item in value]
    if not isinstance(value, dict):
        return value
    return {unlike.get(key, key[:1].lower() + key[1:]): _to_pulumi_case(item, unlike) for key, item in value.items()}
