"""Validates requests by AWS's own API models, as AWS does: characters, lengths, ranges and enumerations.

The emulator takes nearly anything. boto3 ships the models and checks types only, so a name with a wrong character would
be found out by the first deployment to a real account.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from botocore.exceptions import ParamValidationError


def validate_requests(client: Any) -> None:
    """Checks every call of a client before it is sent."""
    client.meta.events.register("before-parameter-build", _validate_params)


def _validate_params(params: dict[str, Any], model: Any, **_: Any) -> None:
    if model.input_shape is None:
        return
    found = list(list_violations(params, model.input_shape, model.name))
    if found:
        raise ParamValidationError(report="\n".join(found))


def list_violations(value: Any, shape: Any, where: str) -> Iterator[str]:
    """Returns the violations of a shape by a value, one line each with its path."""
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, item in value.items():
            if name in shape.members:
                yield from list_violations(item, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list" and isinstance(value, list | tuple):
        yield from _check_range(len(value), shape, where, "items")
        for number, item in enumerate(value):
            yield from list_violations(item, shape.member, f"{where}[{number}]")
    elif shape.type_name == "map" and isinstance(value, dict):
        for key, item in value.items():
            yield from list_violations(key, shape.key, f"{where} key {key!r}")
            yield from list_violations(item, shape.value, f"{where}[{key!r}]")
    elif shape.type_name == "string" and isinstance(value, str):
        yield from _check_string(value, shape, where)
    elif shape.type_name in ("integer", "long", "float", "double") and isinstance(value, int | float):
        yield from _check_range(value, shape, where, "")


def _check_string(value: str, shape: Any, where: str) -> Iterator[str]:
    yield from _check_range(len(value), shape, where, "characters")
    if shape.enum and value not in shape.enum:
        yield f"{where}: {value!r} is none of {', '.join(shape.enum)}"
    pattern = shape.metadata.get("pattern")
    if pattern and not _matches_pattern(pattern, value):
        yield f"{where}: {value!r} does not match {pattern}"


def _check_range(size: float, shape: Any, where: str, unit: str) -> Iterator[str]:
    least = shape.metadata.get("min")
    most = shape.metadata.get("max")
    if (least is not None and size < least) or (most is not None and size > most):
        yield f"{where}: {size} {unit} is not between {least} and {most}"


def _matches_pattern(pattern: str, value: str) -> bool:
    known = _compile_pattern(pattern)
    return known is None or known.fullmatch(value) is not None


@cache
def _compile_pattern(pattern: str) -> re.Pattern[str] | None:
    """None for a pattern that Python does not know: Java's \\p{L} and the like."""
    try:
        return re.compile(pattern)
    except re.error:
        return None
