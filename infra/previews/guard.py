"""Whether a stack is a preview: all of its marks have to say so, or nobody touches it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra import naming
from infra.errors import SlipwayError
from infra.local.paths import project
from infra.previews.engine import Engine
from infra.previews.names import is_ours

KIND, BASE, NAME, EXPIRES = "slipway:kind", "slipway:base", "slipway:name", "slipway:expires"
"""Tags of a preview's stack."""
DATABASE, EXTERNAL = "slipway:database", "external"
"""A tag of a preview whose database is no business of its environment, and its value."""
PREVIEW = "preview"
MADE = {
    "aws:secretsmanager/secret:Secret",
    "aws:secretsmanager/secretVersion:SecretVersion",
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:ecs/taskDefinition:TaskDefinition",
    "aws:ecs/service:Service",
    "aws:lb/targetGroup:TargetGroup",
    "aws:lb/listenerRule:ListenerRule",
    "docker-build:index:Image",
}
"""The types of resources that a preview makes. A stack with any other is none."""
BESIDE = ("pulumi:", "slipway:")
"""How the types begin that are nothing in AWS: providers, the reference to the environment, components."""


@dataclass(frozen=True)
class Seen:
    """A stack as its backend tells of it."""

    stack: str
    tags: Mapping[str, str] = field(default_factory=dict)
    resources: list[Mapping[str, Any]] = field(default_factory=list)
    """Of its state: each with `type`, `inputs`, `urn`, and the `ids` that AWS has for it."""
    config: Mapping[str, Any] | None = None
    """Of its last update, without the project's prefix; None: it never had one that ended."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    broken: str = ""
    """Why it could not be read."""


def look(engine: Engine, stack: str) -> Seen:
    """Everything that the backend has of a stack; what cannot be read makes it broken, and is no error here."""
    try:
        tags = engine.tags(stack)
        deployment = engine.state(stack).get("deployment") or {}
        history = engine.ask("stack", "history", "--json", "--page-size", "1", "--stack", stack)
        return _seen(stack, tags, deployment, history)
    except (SlipwayError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Seen(stack, broken=str(error).strip().splitlines()[-1] if str(error).strip() else repr(error))


def _seen(stack: str, tags: Mapping[str, str], deployment: Mapping[str, Any], history: str) -> Seen:
    updates = json.loads(history or "[]")
    prefix = f"{project()}:"
    config = updates[0].get("config") if updates else None
    resources = deployment.get("resources") or []
    root: Mapping[str, Any] = next((r for r in resources if r["type"] == "pulumi:pulumi:Stack"), {})
    return Seen(
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


def refusal(seen: Seen, base: str = "") -> str:
    """Why a stack is not to be touched as a preview (of `base`, where one is given); empty where it is one."""
    if seen.broken:
        return f"it cannot be read: {seen.broken}"
    if not is_ours(seen.stack):
        return "it has not the name of a preview"
    if seen.tags.get(KIND) != PREVIEW or not seen.tags.get(BASE):
        return "its tags do not say that it is a preview"
    if base and seen.tags[BASE] != base:
        return f"it stands on {seen.tags[BASE]}"
    if seen.config is not None and (seen.config.get("kind") != PREVIEW or seen.config.get("base") != seen.tags[BASE]):
        return "its configuration does not say that it is a preview"
    return _foreign(seen)


def _foreign(seen: Seen) -> str:
    whole = naming.stack_name(project(), seen.stack)
    for resource in seen.resources:
        if resource["type"].startswith(BESIDE):
            continue
        name = resource["urn"].rsplit("::", 1)[-1]
        if resource["type"] not in MADE:
            return f"it has a {resource['type']}, which no preview makes: {name}"
        tags = resource["inputs"].get("tags") if resource["type"].startswith("aws:") else None
        if tags is not None and (tags.get("kind"), tags.get("stack")) != (PREVIEW, whole):
            return f"{name} is not tagged as this preview's"
    return ""
