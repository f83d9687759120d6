"""Types of single values in stacks/app.yaml: a command, a path of a URL, a variable's name."""

from __future__ import annotations

import re
import shlex
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, WithJsonSchema
from pydantic.alias_generators import to_camel

SHELL_OPERATORS = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "<<", "2>", "2>>", "2>&1", "&>"})
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_VARIABLE_REFERENCE = re.compile(r"\$(\w*[A-Za-z_]\w*|\{\w+\})")


def _split_command(value: object) -> object:
    """Returns the words of a command that is written as text. Raises `ValueError` for what only a shell understands."""
    if not isinstance(value, str):
        return value
    words = shlex.split(value)
    for word in words:
        if word in SHELL_OPERATORS:
            raise ValueError(
                f"{word} is a shell operator, and containers start it without a shell. "
                f"Write: sh -c {shlex.quote(value)}"
            )
        if _VARIABLE_REFERENCE.fullmatch(word):
            raise ValueError(
                f"containers start it without a shell, so {word} is not replaced by its value. "
                f"Write: sh -c {shlex.quote(f'exec {value}')}"
            )
    return words


def _check_program(words: tuple[str, ...]) -> tuple[str, ...]:
    """Raises `ValueError` where the first word cannot be a program, which would fail in the rollout only."""
    if words and _ASSIGNMENT.match(words[0]):
        variable = words[0].partition("=")[0]
        raise ValueError(
            f"it begins with a variable, and containers start it without a shell: {words[0]} would be the program. "
            f"Write: env {shlex.join(words)}, or set {variable} under environment"
        )
    if words and not words[0]:
        raise ValueError("its first word, the program, is empty")
    return words


def _check_path(value: str) -> str:
    if not re.fullmatch(r"/[\w./~%-]*", value):
        raise ValueError("a path begins with /, and its characters are letters, digits and ._~%/-")
    return value


def _check_variable_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("a variable's name has letters, digits and _, and does not begin with a digit")
    return value


Command = Annotated[
    tuple[str, ...],
    BeforeValidator(_split_command),
    AfterValidator(_check_program),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""A program with its arguments; text is split into words as a shell would, and no shell runs."""
UrlPath = Annotated[str, AfterValidator(_check_path)]
VariableName = Annotated[str, AfterValidator(_check_variable_name)]


APP_FILE_MODEL_CONFIG = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, use_attribute_docstrings=True)
"""Camel case keys, unknown keys are errors, and a field's docstring is its description in the JSON schema."""
