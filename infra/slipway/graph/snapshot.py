"""Formats a stack as text for reviews: all resources with their inputs and options."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from slipway.graph.plan import STACK_TYPE
from slipway.graph.program_run import ResourceState

STACK_TAGS = ("tags.project", "tags.stack", "tags.tier")
"""Tags that every resource has; omitted."""
MACHINE_INPUT = "secrets.ca"
"""Build argument of images: the CA bundle of the build machine."""
CONTENT_HASH = re.compile(r"\b[0-9a-f]{12}(-[0-9a-f]{12})?\b")
"""Git revisions (none without git) and hashes of build contexts: they change with the sources, not with the stack."""
JSON_INPUTS = ("assumeRolePolicy", "containerDefinitions", "policy")
"""Inputs that are JSON documents; each part is a line."""


def format_snapshot(states: Iterable[ResourceState]) -> str:
    """Formats every resource with its parent, inputs and options, in a deterministic order."""
    resources = [state for state in states if state["type"] != STACK_TYPE]
    blocks = sorted("\n".join(_lines(state)) for state in resources)
    return CONTENT_HASH.sub("<hash>", "\n\n".join(blocks)) + "\n"


def _lines(state: ResourceState) -> Iterator[str]:
    parent = str(state["parent"]).rsplit("::", 1)[-1]
    yield f"{state['type']} {str(state['urn']).rsplit('::', 1)[-1]}" + (f" (of {parent})" if parent else "")
    for path, value in sorted(_flatten(state["inputs"], "")):
        if path not in STACK_TAGS and path != MACHINE_INPUT:
            yield f"  {path} = {value}"
    for name, option in sorted(state["options"].items()):
        yield f"  ({name}) {json.dumps(option)}"


def _flatten(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if path == "secretString":
        yield path, _describe_secret(value)
        return
    if isinstance(value, str) and path.rpartition(".")[2] in JSON_INPUTS and value[:1] in ("{", "["):
        value = json.loads(value)
    if isinstance(value, dict) and value:
        for key, entry in value.items():
            yield from _flatten(entry, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        for number, entry in enumerate(value):
            label = entry.get("name") or entry.get("Sid") or number
            yield from _flatten(entry, f"{path}[{label}]")
    else:
        yield path, json.dumps(value)


def _describe_secret(text: str) -> str:
    """Returns the keys of a secret without values."""
    return f"keys {', '.join(sorted(json.loads(text)))}" if text.startswith("{") else "one value"
