"""Finds the roles that a call passes to a service: each needs `iam:PassRole`, with `iam:PassedToService`.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from slipway_local.rights.resources import Place

_SERVICES = {
    ("backup", ""): "backup.amazonaws.com",
    ("cloudtrail", ""): "cloudtrail.amazonaws.com",
    ("ec2", ""): "ec2.amazonaws.com",
    ("ec2", "deliverlogspermissionarn"): "vpc-flow-logs.amazonaws.com",
    ("ecs", ""): "ecs.amazonaws.com",
    ("ecs", "taskrolearn"): "ecs-tasks.amazonaws.com",
    ("ecs", "executionrolearn"): "ecs-tasks.amazonaws.com",
    ("iam", "rolename"): "ec2.amazonaws.com",
    ("rds", ""): "rds.amazonaws.com",
    ("rds", "monitoringrolearn"): "monitoring.rds.amazonaws.com",
}
"""Service that a role is passed to, by IAM prefix and parameter in lower case (empty: any). Else it is the prefix's."""

_ROLE_PARAMETERS = ("role", "rolearn", "deliverlogspermissionarn")
_TAKES_AWAY = ("Delete", "Remove", "Disassociate", "Deregister", "Detach", "Untag")
_NEVER = ("iam", "sts", "kms", "tag")
"""Services whose calls name roles without passing them; instance profiles are the exception below."""

_DEPTH = 6


def passed_roles(
    prefix: str, operation: str, access_level: str, params: Mapping[str, Any], place: Place
) -> Iterator[tuple[str, str]]:
    """Yields each role's ARN and the service that it is passed to."""
    if prefix == "iam" and operation == "AddRoleToInstanceProfile":
        yield _arn(str(params.get("RoleName")), place), _SERVICES["iam", "rolename"]
    if prefix in _NEVER or access_level in ("List", "Read") or operation.startswith(_TAKES_AWAY):
        return
    for name, value in _role_values(params, _DEPTH):
        service = _SERVICES.get((prefix, name)) or _SERVICES.get((prefix, "")) or f"{prefix}.amazonaws.com"
        yield _arn(value, place), service


def _role_values(value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and depth:
        for name, each in value.items():
            plain = str(name).lower()
            if isinstance(each, str) and each and plain.endswith(_ROLE_PARAMETERS):
                yield plain, each
            elif name not in ("Tags", "tags"):
                yield from _role_values(each, depth - 1)
        name, role = value.get("AttributeName"), value.get("AttributeValue")
        if isinstance(name, str) and isinstance(role, str) and name.lower().endswith("rolearn"):
            yield name.lower(), role
    elif isinstance(value, list) and depth:
        for each in value:
            yield from _role_values(each, depth - 1)


def _arn(role: str, place: Place) -> str:
    return role if role.startswith("arn:") else f"arn:aws:iam::{place.account}:role/{role}"
