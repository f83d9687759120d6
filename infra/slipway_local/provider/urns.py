"""The parts of a URN, and automatic names of resources."""

from __future__ import annotations

import secrets
from typing import Any

from slipway_local.provider.resource_type import Properties

NAME_SUFFIX_LENGTH = 7
"""Random hex digits behind an automatic name, as Pulumi's own providers have it."""


def stack_of_urn(urn: str) -> str:
    """Returns the stack in a URN."""
    return urn.split("::")[0].removeprefix("urn:pulumi:")


def type_token_of_urn(urn: str) -> str:
    """Returns the type in a URN: urn:pulumi:stack::project::parent$type::name."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def automatic_name(name_property: tuple[str, int], request: Any, old: Properties) -> str:
    """Returns the old automatic name, else the resource's name with a random suffix, within the type's limit."""
    key, limit = name_property
    if key in old.get("__defaults", []) and old.get(key):
        return str(old[key])
    proposed = request.autonaming.proposed_name if request.HasField("autonaming") else ""
    if proposed and len(proposed) <= limit:
        return str(proposed)
    suffix = (bytes(request.randomSeed).hex() or secrets.token_hex(NAME_SUFFIX_LENGTH))[:NAME_SUFFIX_LENGTH]
    stem = request.urn.rsplit("::", 1)[-1][: limit - NAME_SUFFIX_LENGTH - 1].rstrip("-")
    return f"{stem}-{suffix}"
