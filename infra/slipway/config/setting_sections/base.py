"""What the sections of settings have in common."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel


class SettingSection(BaseModel):
    """Some settings of a stack. A field's docstring is its description for editors and docs."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, use_attribute_docstrings=True)


class SettingValue(BaseModel):
    """The value of a setting that has keys of its own."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, use_attribute_docstrings=True)


def to_environment_value(value: object) -> str:
    """Returns the text of an environment variable's value. Raises `ValueError` for what is not a scalar."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    if value is None:
        raise ValueError('it has no value. Write "" for an empty one, or delete the line')
    kind = "a list" if isinstance(value, list | tuple) else "a mapping"
    raise ValueError(f'{kind} is not text. Write JSON in quotes, for example \'["a", "b"]\', if the app parses it')


EnvironmentValue = Annotated[
    str, BeforeValidator(to_environment_value), WithJsonSchema({"type": ["string", "number", "boolean"]})
]
"""The value of an environment variable: text, as it is written in the file."""


def choices(values: Collection[Any]) -> Any:
    """Returns the metadata that shows editors the allowed values of a field that a validator checks."""
    return Field(json_schema_extra={"enum": sorted(values)})
