"""Decides whether a caller may do what a call needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slipway_local.rights.actions import Check
from slipway_local.rights.aws_state import AwsState
from slipway_local.rights.evaluation import AccessRequest, Decision, Policies, denial_message, evaluate
from slipway_local.rights.identities import Caller, policies
from slipway_local.rights.policy import Keys, Policy

_NOBODYS = ("", "aws")
"""Accounts in the ARNs of what belongs to no account: buckets, AWS's own policies."""


class Denied(Exception):
    """A caller may not do something. The message is AWS's."""

    def __init__(self, check: Check, request: AccessRequest, decision: Decision) -> None:
        super().__init__(denial_message(request, decision))
        self.check = check
        self.decision = decision


def decide(caller: Caller, check: Check, state: AwsState) -> tuple[Decision, AccessRequest]:
    """Returns the decision on one action and one resource, and the request that it was made on."""
    policy, owner = _resource_policy(check.resource, state)
    request = AccessRequest(
        principal=caller.principal,
        action=check.action,
        resource=check.resource,
        keys=_Joined(caller.principal.keys, check.keys, owner or caller.principal.account),
        resource_account=owner,
    )
    bearing = Policies(
        identity=caller.identity_policies,
        boundary=caller.boundary,
        session=caller.session_policies,
        resource=policy,
        resource_decides=check.action.startswith("kms:") and policy is not None,
    )
    return evaluate(request, bearing), request


def ensure_allowed(caller: Caller, check: Check, state: AwsState) -> Decision:
    """Returns the decision that allows.

    Raises:
        Denied: it does not.
    """
    decision, request = decide(caller, check, state)
    if not decision.allowed:
        raise Denied(check, request, decision)
    return decision


def _resource_policy(arn: str, state: AwsState) -> tuple[Policy | None, str]:
    """Returns the policy of a resource and the account that owns it; empty if the ARN names none."""
    if not arn.startswith("arn:"):
        return None, ""
    account = arn.split(":", 5)[4]
    found = state.resource_policy(arn)
    if found is None:
        return None, "" if account in _NOBODYS or "*" in account else account
    document, owner = found
    parsed = policies([document]) if document else []
    return (parsed[0] if parsed else None), owner


class _Joined(Mapping[str, str | Sequence[str]]):
    """Keys of the principal, of the request and of the resource's account, without copying them."""

    def __init__(self, principal: Keys, request: Keys, account: str) -> None:
        self._principal = principal
        self._request = request
        self._account = account

    def get(self, key: str, default: Any = None) -> Any:
        """Returns a key's value."""
        if key in ("aws:resourceaccount", "s3:resourceaccount"):
            return self._account
        value = self._principal.get(key)
        return self._request.get(key, default) if value is None else value

    def __getitem__(self, key: str) -> str | Sequence[str]:
        value: str | Sequence[str] | None = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        yield from self._principal
        yield from self._request

    def __len__(self) -> int:
        return len(self._principal) + len(self._request)
