"""Decides a request by all policies that apply to it, in the order of IAM's documentation.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from slipway_local.rights.conditions import conditions_hold
from slipway_local.rights.policy import Keys, Policy, Statement
from slipway_local.rights.principals import Naming, Principal, naming

IDENTITY = "identity-based policy"
RESOURCE = "resource-based policy"
BOUNDARY = "permissions boundary"
SESSION = "session policy"
_ARTICLES = {IDENTITY: "an", RESOURCE: "a", BOUNDARY: "a", SESSION: "a"}


@dataclass(frozen=True)
class AccessRequest:
    """One action on one resource by one principal."""

    principal: Principal
    action: str
    """`s3:GetObject`."""

    resource: str
    """ARN, or `*` for an action that has no resource."""

    keys: Keys
    """Condition keys, the principal's included; names in lower case."""

    resource_account: str = ""
    """Account that owns the resource; empty means the principal's own."""


@dataclass(frozen=True)
class Policies:
    """The policies that apply to a request. None: there is no such policy; an empty list: it allows nothing."""

    identity: Sequence[Policy] = ()
    boundary: Sequence[Policy] | None = None
    session: Sequence[Policy] | None = None
    resource: Policy | None = None
    resource_decides: bool = False
    """Whether the resource's policy has to allow even its own account's principals (KMS keys, a role's trust)."""


@dataclass(frozen=True)
class Decision:
    """Whether a request is allowed, and which policy decided it."""

    allowed: bool
    policy_type: str = ""
    """Which kind of policy refused, or did not allow."""

    is_explicit_deny: bool = False
    statement: Statement | None = None
    """The statement that denied, or one that allowed."""

    def reason(self, action: str) -> str:
        """Returns the end of AWS's AccessDenied message."""
        if self.is_explicit_deny:
            return f"with an explicit deny in {_ARTICLES[self.policy_type]} {self.policy_type}"
        return f"because no {self.policy_type} allows the {action} action"


def denial_message(request: AccessRequest, decision: Decision) -> str:
    """Returns AccessDenied in AWS's words: who, what, on what, and why."""
    return (
        f"User: {request.principal.arn} is not authorized to perform: {request.action} "
        f"on resource: {request.resource} {decision.reason(request.action)}"
    )


def evaluate(request: AccessRequest, policies: Policies) -> Decision:
    """Returns the decision: an explicit deny anywhere, then what has to allow in the same or across accounts."""
    denial = _explicit_denial(request, policies)
    if denial:
        return denial
    named, statement = _resource_allows(request, policies.resource)
    if request.principal.kind in ("service", "federated", "anonymous"):
        return Decision(named != Naming.NONE, RESOURCE, statement=statement)
    is_own_account = request.resource_account in ("", request.principal.account)
    if is_own_account and named == Naming.DIRECT:
        return Decision(True, RESOURCE, statement=statement)
    if (not is_own_account or policies.resource_decides) and named == Naming.NONE:
        return Decision(False, RESOURCE)
    needs_identity = not (is_own_account and named in (Naming.ROLE, Naming.ANYONE))
    if needs_identity:
        statement = _allows(request, policies)
        if statement is None and request.principal.kind != "administrator":
            return Decision(False, IDENTITY)
    boundary = None if is_own_account and named == Naming.ANYONE else policies.boundary
    for policy_type, limit in ((BOUNDARY, boundary), (SESSION, policies.session)):
        if limit is not None and _first(request, limit, "Allow") is None:
            return Decision(False, policy_type)
    return Decision(True, IDENTITY if needs_identity else RESOURCE, statement=statement)


def _allows(request: AccessRequest, policies: Policies) -> Statement | None:
    return _first(request, policies.identity, "Allow")


def _explicit_denial(request: AccessRequest, policies: Policies) -> Decision | None:
    layers: Iterable[tuple[str, Sequence[Policy]]] = (
        (IDENTITY, policies.identity),
        (BOUNDARY, policies.boundary or ()),
        (SESSION, policies.session or ()),
    )
    for policy_type, layer in layers:
        statement = _first(request, layer, "Deny")
        if statement:
            return Decision(False, policy_type, is_explicit_deny=True, statement=statement)
    for statement in policies.resource.statements if policies.resource else ():
        if statement.effect == "Deny" and naming(statement, request.principal) and covers(statement, request):
            return Decision(False, RESOURCE, is_explicit_deny=True, statement=statement)
    return None


def _resource_allows(request: AccessRequest, policy: Policy | None) -> tuple[Naming, Statement | None]:
    best: tuple[Naming, Statement | None] = (Naming.NONE, None)
    for statement in policy.statements if policy else ():
        if statement.effect == "Allow":
            named = naming(statement, request.principal)
            if named > best[0] and covers(statement, request):
                best = (named, statement)
    return best


def _first(request: AccessRequest, policies: Sequence[Policy], effect: str) -> Statement | None:
    for policy in policies:
        for statement in policy.statements:
            if statement.effect == effect and covers(statement, request):
                return statement
    return None


def covers(statement: Statement, request: AccessRequest) -> bool:
    """Whether the statement's actions, resources and conditions are the request's."""
    return (
        statement.covers_action(request.action)
        and statement.covers_resource(request.resource, request.keys)
        and conditions_hold(statement, request.keys)
    )
