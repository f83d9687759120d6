"""Decides whether a stack is a preview: by name, tags, configuration and resources; commands refuse any other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.config import names
from slipway.config.errors import SlipwayError
from slipway.config.project import project_name
from slipway.previews.preview_names import is_preview_stack_name
from slipway.previews.preview_stacks import PulumiBackend
from slipway.previews.stack_tags import (
    BASE_TAG,
    DATABASE_TAG,
    EXPIRES_TAG,
    EXTERNAL_DATABASE,
    KIND_TAG,
    NAME_TAG,
    PREVIEW_KIND,
)

__all__ = [
    "BASE_TAG",
    "DATABASE_TAG",
    "EXPIRES_TAG",
    "EXTERNAL_DATABASE",
    "KIND_TAG",
    "NAME_TAG",
    "PREVIEW_KIND",
    "PREVIEW_RESOURCE_TYPES",
    "StackSnapshot",
    "inspect_stack",
    "why_not_a_preview",
]

PREVIEW_RESOURCE_TYPES = {
    "aws:secretsmanager/secret:Secret",
    "aws:secretsmanager/secretVersion:SecretVersion",
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:ecs/taskDefinition:TaskDefinition",
    "aws:ecs/service:Service",
    "aws:lb/targetGroup:TargetGroup",
    "aws:lb/listenerRule:ListenerRule",
    "docker-build:index:Image",
}
"""All resource types of a preview. A stack with any other type is not one."""
NON_AWS_TYPE_PREFIXES = ("pulumi:", "slipway:")
"""Prefixes of types without an AWS resource: providers, the stack reference, components."""


@dataclass(frozen=True)
class StackSnapshot:
    """A stack as stored in the backend."""

    stack: str
    tags: Mapping[str, str] = field(default_factory=dict)
    resources: list[Mapping[str, Any]] = field(default_factory=list)
    """Resources of its state, each with `type`, `inputs`, `urn` and the `ids` in AWS."""
    config: Mapping[str, Any] | None = None
    """Configuration of its last update, without the project's prefix; None if no update ever completed."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    broken: str = ""
    """Why it is unreadable; empty if it is readable."""

    @property
    def is_empty(self) -> bool:
        """Whether it has neither resources nor updates: the result of an interrupted `create`."""
        return not self.broken and not self.resources and self.config is None


def inspect_stack(engine: PulumiBackend, stack: str) -> StackSnapshot:
    """Returns a stack's tags, resources and configuration. An unreadable stack is `broken`, with its tags if it has
    any; it raises no error."""
    tags: Mapping[str, str] = {}
    try:
        tags = engine.tags(stack)
        deployment = engine.state(stack).get("deployment") or {}
        history = engine.ask("stack", "history", "--json", "--page-size", "1", "--stack", stack)
        return _parse_snapshot(stack, tags, deployment, history)
    except SlipwayError as error:
        return StackSnapshot(stack, tags, broken=" ".join(str(error).split()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return StackSnapshot(stack, tags, broken=f"its state is not in Pulumi's format ({error!r})")


def _parse_snapshot(stack: str, tags: Mapping[str, str], deployment: Mapping[str, Any], history: str) -> StackSnapshot:
    updates = json.loads(history or "[]")
    prefix = f"{project_name()}:"
    config = updates[0].get("config") if updates else None
    resources = deployment.get("resources") or []
    root: Mapping[str, Any] = next((r for r in resources if r["type"] == "pulumi:pulumi:Stack"), {})
    return StackSnapshot(
        stack,
        dict(tags),
        [
            {
                "type": r["type"],
                "inputs": r.get("inputs") or {},
                "urn": r["urn"],
                "ids": [r.get("id"), (r.get("outputs") or {}).get("arn")],
            }
            for r in resources
        ],
        None
        if config is None
        else {key.removeprefix(prefix): entry.get("value") for key, entry in config.items() if key.startswith(prefix)},
        root.get("outputs") or {},
    )


def why_not_a_preview(snapshot: StackSnapshot, base: str = "") -> str:
    """Returns why a stack is not a preview (of `base`, if given); empty if it is one.

    An empty stack with a preview's name is one, unless its tags say otherwise.
    """
    if snapshot.broken:
        return f"it cannot be read: {snapshot.broken}"
    if not is_preview_stack_name(snapshot.stack):
        return "its name is not a preview's"
    if snapshot.is_empty and snapshot.tags.get(KIND_TAG, PREVIEW_KIND) == PREVIEW_KIND:
        owner = snapshot.tags.get(BASE_TAG, base)
        return f"it runs on {owner}" if base and owner != base else ""
    if snapshot.tags.get(KIND_TAG) != PREVIEW_KIND or not snapshot.tags.get(BASE_TAG):
        return "its tags do not say that it is a preview"
    if base and snapshot.tags[BASE_TAG] != base:
        return f"it runs on {snapshot.tags[BASE_TAG]}"
    if snapshot.config is not None and (
        snapshot.config.get("kind") != PREVIEW_KIND or snapshot.config.get("base") != snapshot.tags[BASE_TAG]
    ):
        return "its configuration does not say that it is a preview"
    return _find_foreign_resource(snapshot)


def _find_foreign_resource(snapshot: StackSnapshot) -> str:
    full_name = names.stack_name(project_name(), snapshot.stack)
    for resource in snapshot.resources:
        if resource["type"].startswith(NON_AWS_TYPE_PREFIXES):
            continue
        name = resource["urn"].rsplit("::", 1)[-1]
        if resource["type"] not in PREVIEW_RESOURCE_TYPES:
            return f"it has a {resource['type']}, which previews never create: {name}"
        tags = resource["inputs"].get("tags") if resource["type"].startswith("aws:") else None
        if tags is not None and (tags.get("kind"), tags.get("stack")) != (PREVIEW_KIND, full_name):
            return f"{name} is not tagged as this preview's"
    return ""
