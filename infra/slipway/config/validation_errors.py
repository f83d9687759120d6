"""Turns pydantic's validation errors into errors that name the key as YAML has it, its value and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from slipway.config.errors import SlipwayError

MAX_LISTED_KEYS = 20
"""An error about an unknown key lists the allowed ones where there are no more than these and none is similar."""

_EXPECTED = {
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
}
"""What is allowed, by pydantic's type of error."""


def convert_validation_error(error: ValidationError, source: str, model: type[BaseModel]) -> SlipwayError:
    """Returns pydantic's errors as one error; `source` is the file of the values, `model` what they should be."""
    problems = [_explain(dict(problem), model) for problem in error.errors()]
    count = "1 wrong value" if len(problems) == 1 else f"{len(problems)} wrong values"
    return SlipwayError(
        f"{source}: {count}, nothing was changed:\n" + "\n".join(f"  {problem}" for problem in problems),
        f"Correct {source}.",
        where=source,
        why="; ".join(problems),
    )


def _explain(problem: dict[str, Any], model: type[BaseModel]) -> str:
    reason = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return reason
    location = [part for part in problem["loc"] if part != "[key]"]
    key = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        allowed = [field.alias or name for name, field in _fields_at(model, location[:-1]).items()]
        return f"{key}: there is no such key{_suggest_key(str(location[-1]), allowed)}"
    if problem["type"] == "missing":
        return f"{key}: must be set"
    if problem["type"] == "string_pattern_mismatch":
        reason = _describe(model, location) or reason
    if expected := _EXPECTED.get(problem["type"]):
        reason = f"allowed is {expected}"
    return f"{key} is {problem['input']!r}: {reason}"


def _suggest_key(key: str, allowed: Collection[str]) -> str:
    closest = difflib.get_close_matches(key, allowed, n=1)
    if closest:
        return f". Did you mean {closest[0]}?"
    return f". Allowed are {', '.join(allowed)}" if 0 < len(allowed) <= MAX_LISTED_KEYS else ""


def _describe(model: type[BaseModel], location: Sequence[str | int]) -> str:
    """The description of the field at a location, which says more than the pattern that its value does not match."""
    key = location[-1]
    fields = _fields_at(model, location[:-1]).items()
    descriptions = [field.description for name, field in fields if key in (name, field.alias) and field.description]
    return f"it does not have the form of this setting. {' '.join(descriptions[0].split())}" if descriptions else ""


def _fields_at(model: type[BaseModel], location: Sequence[str | int]) -> dict[str, FieldInfo]:
    """The fields of the models at a location in `model`, such as `("processes", "web")`."""
    annotations: list[Any] = [model]
    for part in location:
        annotations = [inner for annotation in annotations for inner in _annotations_below(annotation, part)]
    members = [member for annotation in annotations for member in _union_members(annotation)]
    return {name: field for member in members if _is_model(member) for name, field in member.model_fields.items()}


def _annotations_below(annotation: Any, part: str | int) -> Iterator[Any]:
    """The annotations of what `part` leads to: a model's field, or a value of a mapping or list."""
    for member in _union_members(annotation):
        if _is_model(member):
            fields = member.model_fields.items()
            yield from (field.annotation for name, field in fields if part in (name, field.alias))
        elif get_origin(member) is dict:
            yield get_args(member)[1]
        elif get_origin(member) in (list, tuple):
            yield get_args(member)[0]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _union_members(annotation: Any) -> Iterator[Any]:
    """The members of a union; any other annotation is the only one."""
    if get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _union_members(member)
    elif get_origin(annotation) is Annotated:
        yield from _union_members(get_args(annotation)[0])
    else:
        yield annotation
