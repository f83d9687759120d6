"""Principals of requests, and how a statement's Principal element names one.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

from slipway_local.rights.policy import Keys, Statement

_ACCOUNT = re.compile(r"^(?:arn:[^:]+:iam::)?(\d{12})(?::root)?$")
_ROLE_SESSION_ARN = re.compile(r"^arn:[^:]+:sts::\d{12}:assumed-role/[^/]+/.+$")
_USER_ARN = re.compile(r"^arn:[^:]+:iam::\d{12}:user/.+$")


@dataclass(frozen=True)
class Principal:
    """Who makes a request."""

    kind: Literal["administrator", "user", "role", "federated", "service", "anonymous"]
    """`administrator` is an account's root user, and here the person with long-lived keys: allowed everything."""

    arn: str
    """ARN of the user, or of the role session; the OIDC provider's for `federated`; a host name for `service`."""

    account: str
    role_arn: str = ""
    keys: Keys = field(default_factory=dict)
    """Condition keys that describe the principal, names in lower case."""


class Naming(IntEnum):
    """How a Principal element names a principal, from not at all to by its very ARN."""

    NONE = 0
    ACCOUNT = 1
    """By its account, which leaves the decision to that account's identity policies."""

    ROLE = 2
    """By the role of its session: permission boundary and session policy still limit it."""

    ANYONE = 3
    """By `*`: what the session policy of its session leaves out still limits it."""

    DIRECT = 4
    """By its own ARN: implicit denials of its other policies do not count."""


def naming(statement: Statement, principal: Principal) -> Naming:
    """Returns how a statement of a resource's policy names the principal."""
    if statement.principals is not None:
        return max(
            (_named(kind, value, principal) for kind, values in statement.principals.items() for value in values),
            default=Naming.NONE,
        )
    if statement.not_principals is not None:
        found = {
            _named(kind, value, principal) for kind, values in statement.not_principals.items() for value in values
        }
        is_excepted = _is_excepted(found, principal) if statement.effect == "Deny" else bool(found - {Naming.NONE})
        return Naming.NONE if is_excepted else Naming.ANYONE
    return Naming.NONE


def _is_excepted(found: set[Naming], principal: Principal) -> bool:
    """Whether NotPrincipal excepts a principal from a denial: AWS wants its account, its role and its session named."""
    if principal.kind == "user":
        wanted = {Naming.ACCOUNT, Naming.DIRECT}
    elif principal.kind == "role":
        wanted = {Naming.ACCOUNT, Naming.ROLE, Naming.DIRECT}
    else:
        return bool(found - {Naming.NONE})
    return Naming.ANYONE in found or wanted <= found


def _named(kind: str, value: str, principal: Principal) -> Naming:
    if value == "*" and kind == "AWS":
        return Naming.ANYONE
    if kind == "Service" or kind == "Federated":
        wanted = "service" if kind == "Service" else "federated"
        return Naming.DIRECT if principal.kind == wanted and principal.arn == value else Naming.NONE
    if kind != "AWS" or principal.kind in ("service", "federated", "anonymous"):
        return Naming.NONE
    account = _ACCOUNT.match(value)
    if account:
        return Naming.ACCOUNT if account.group(1) == principal.account else Naming.NONE
    if value == principal.arn:
        return Naming.DIRECT
    return Naming.ROLE if principal.role_arn and value == principal.role_arn else Naming.NONE


def principal_error(value: str) -> str | None:
    """Returns what is wrong with an AWS principal of a resource policy, or None. A wildcard inside an ARN is."""
    if value == "*" or _ACCOUNT.match(value):
        return None
    if ("*" in value or "?" in value) and value.startswith("arn:"):
        return f"Invalid principal in policy: {value}"
    known = (
        _ROLE_SESSION_ARN.match(value) or _USER_ARN.match(value) or ":role/" in value or value[:4] in ("AROA", "AIDA")
    )
    return None if known else f"Invalid principal in policy: {value}"
