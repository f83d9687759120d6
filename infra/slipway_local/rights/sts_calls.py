"""Answers AssumeRole and AssumeRoleWithWebIdentity as STS does: trust policy, token and session duration decide."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from slipway_local.rights import iam_data
from slipway_local.rights.aws_state import AwsState, Credentials, Identity
from slipway_local.rights.evaluation import AccessRequest, Policies, evaluate
from slipway_local.rights.identities import Caller, policies
from slipway_local.rights.principals import Principal
from slipway_local.rights.request_keys import Values, tag_keys
from slipway_local.rights.web_identity import (
    IssuerKeys,
    WebIdentityError,
    audiences,
    unverified_issuer,
    verified_claims,
)
from slipway_local.rights.wire import ApiCall

ASSUME, WEB_IDENTITY = "AssumeRole", "AssumeRoleWithWebIdentity"
LEAST_SECONDS, DEFAULT_SECONDS, MOST_CHAINED_SECONDS = 900, 3600, 3600


class Sessions(Protocol):
    """Gives out credentials."""

    def start_session(
        self,
        role: Identity,
        session_name: str,
        seconds: int,
        session_policies: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Credentials:
        """Returns new credentials of a role."""


class StsError(Exception):
    """What STS refuses. `code` is its own, `status` HTTP's."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def assume_role(call: ApiCall, caller: Caller, state: AwsState, sessions: Sessions, common: Values) -> dict[str, Any]:
    """Returns the result of AssumeRole.

    Raises:
        StsError: the trust policy or the caller's own policies do not allow it, or the duration is too long.
    """
    role_arn = str(call.params.get("RoleArn", ""))
    role = _role(role_arn, state)
    tags = tag_keys(call.params)
    keys = common | tags | {"sts:rolesessionname": str(call.params.get("RoleSessionName", ""))}
    if call.params.get("ExternalId"):
        keys["sts:externalid"] = str(call.params["ExternalId"])
    for action in ("sts:AssumeRole", *(("sts:TagSession",) if tags else ())):
        denied = f"User: {caller.principal.arn} is not authorized to perform: {action} on resource: {role_arn}"
        if role is None or not _is_trusted(caller, role, action, keys):
            raise StsError("AccessDenied", denied, 403)
    assert role is not None  # noqa: S101 - the loop ran at least once
    seconds = _seconds(call, role)
    if caller.principal.kind == "role" and seconds > MOST_CHAINED_SECONDS:
        message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        raise StsError("ValidationError", message)
    given_tags = {str(each["Key"]): str(each.get("Value", "")) for each in call.params.get("Tags") or ()}
    return _session(call, role, seconds, sessions, given_tags)


def _is_trusted(caller: Caller, role: Identity, action: str, keys: Values) -> bool:
    request = AccessRequest(caller.principal, action, role.arn, {**keys, **caller.principal.keys}, role.account)
    trust = policies([role.trust] if role.trust else [])
    limits = Policies(
        caller.identity_policies, caller.boundary, caller.session_policies, trust[0] if trust else None, True
    )
    return evaluate(request, limits).allowed


def assume_role_with_web_identity(
    call: ApiCall, state: AwsState, sessions: Sessions, keys: IssuerKeys, common: Values
) -> dict[str, Any]:
    """Returns the result of AssumeRoleWithWebIdentity. Asks the token's issuer for its keys, which may block.

    Raises:
        StsError: the token is not right, the trust policy does not allow it, or the duration is too long.
    """
    role_arn = str(call.params.get("RoleArn", ""))
    account = role_arn.split(":")[4] if role_arn.count(":") >= 5 else ""
    token = str(call.params.get("WebIdentityToken", ""))
    try:
        issuer = unverified_issuer(token)
        host = issuer.partition("://")[2].rstrip("/")
        provider = state.oidc_provider(account, host)
        if provider is None:
            raise WebIdentityError(
                "InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {issuer}"
            )
        claims = verified_claims(token, provider, keys)
    except WebIdentityError as error:
        raise StsError(error.code, str(error)) from error
    role = _role(role_arn, state)
    action = "sts:AssumeRoleWithWebIdentity"
    federated = Principal("federated", provider.arn, account)
    trust = policies([role.trust]) if role and role.trust else []
    request = AccessRequest(federated, action, role_arn, common | _claim_keys(host, claims), account)
    if role is None or not evaluate(request, Policies(resource=trust[0] if trust else None)).allowed:
        raise StsError("AccessDenied", f"Not authorized to perform {action}", 403)
    result = _session(call, role, _seconds(call, role), sessions, {})
    return result | {
        "SubjectFromWebIdentityToken": str(claims["sub"]),
        "Audience": audiences(claims)[0],
        "Provider": provider.arn,
    }


def _claim_keys(host: str, claims: Mapping[str, Any]) -> Values:
    """Returns the claims that a trust policy may ask about: those that STS documents for the issuer."""
    action = iam_data.action("sts:AssumeRoleWithWebIdentity")
    documented = action.condition_keys if action else frozenset()
    keys: Values = {}
    for name, value in claims.items():
        key = f"{host}:{name}".lower()
        if name in ("sub", "amr") or key in documented:
            keys[key] = [str(each) for each in value] if isinstance(value, list) else str(value)
    audience = audiences(claims)
    return keys | {f"{host}:aud".lower(): audience[0] if len(audience) == 1 else list(audience)}


def _role(arn: str, state: AwsState) -> Identity | None:
    parts = arn.split(":", 5)
    if len(parts) < 6 or not parts[5].startswith("role/"):
        raise StsError("ValidationError", f"{arn} is invalid")
    found = state.role(parts[4], arn.rpartition("/")[2])
    return found if found and found.arn == arn else None


def _seconds(call: ApiCall, role: Identity) -> int:
    raw = str(call.params.get("DurationSeconds") or DEFAULT_SECONDS)
    if not raw.isdigit() or int(raw) < LEAST_SECONDS:
        raise StsError(
            "ValidationError",
            f"1 validation error detected: Value '{raw}' at 'durationSeconds' failed to satisfy constraint: "
            f"Member must have value greater than or equal to {LEAST_SECONDS}",
        )
    if int(raw) > role.max_session_seconds:
        raise StsError(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    return int(raw)


def _session(
    call: ApiCall, role: Identity, seconds: int, sessions: Sessions, tags: Mapping[str, str]
) -> dict[str, Any]:
    name = str(call.params.get("RoleSessionName", ""))
    if len(name) < 2:
        raise StsError("ValidationError", "RoleSessionName: 2 to 64 characters")
    policy = call.params.get("Policy")
    arns = [str(each.get("arn", "")) for each in call.params.get("PolicyArns") or ()]
    if policy:
        _ensure_policy(str(policy))
    limits = {"Policy": policy or "", "PolicyArns": arns} if policy or arns else None
    given = sessions.start_session(role, name, seconds, limits, tags)
    return {
        "Credentials": {
            "AccessKeyId": given.access_key_id,
            "SecretAccessKey": given.secret,
            "SessionToken": given.session_token,
            "Expiration": datetime.fromtimestamp(given.expiration, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "AssumedRoleUser": {"AssumedRoleId": given.unique_id, "Arn": given.arn},
        "PackedPolicySize": 0,
    }


def _ensure_policy(text: str) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        raise StsError("MalformedPolicyDocument", "The policy is not in the valid JSON format.") from error
