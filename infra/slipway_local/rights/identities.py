"""Determines the caller of a request, checks the signature, and collects the caller's policies."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from slipway_local.rights.aws_state import AwsState, Credentials, Document, Identity
from slipway_local.rights.policy import Policy, parse
from slipway_local.rights.principals import Principal
from slipway_local.rights.request_keys import Values
from slipway_local.rights.signature import SignatureError, check_signature, read_signature
from slipway_local.rights.wire import HttpRequest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Caller:
    """Who makes a request, and what limits it."""

    principal: Principal
    identity_policies: Sequence[Policy] = ()
    boundary: Sequence[Policy] | None = None
    session_policies: Sequence[Policy] | None = None
    region: str = "us-east-1"
    signing_name: str = ""
    credentials: Credentials | None = None


ANONYMOUS = Caller(Principal("anonymous", "anonymous", "", keys={"aws:principaltype": "Anonymous"}))


class IdentityError(Exception):
    """The credentials of a request belong to no existing principal.

    `code` is one of ExpiredToken, InvalidClientTokenId, SignatureDoesNotMatch and their like, in the query protocol's
    spelling; an answer gives it in its own protocol's.
    """

    def __init__(self, code: str, message: str, signing_name: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.signing_name = signing_name


class Identities:
    """Callers by their credentials."""

    def __init__(self, state: AwsState) -> None:
        self._state = state

    def caller(self, request: HttpRequest, body_is_there: bool = True) -> Caller:
        """Returns who made the request; the anonymous caller for one without a signature.

        Long-lived keys of the person (`test`, or an account's number) are not checked: their secret is known to all.

        Raises:
            IdentityError: the key is unknown, the session over, the token or the signature wrong.
        """
        try:
            signature = read_signature(request)
        except SignatureError as error:
            raise IdentityError(error.code, str(error)) from error
        if signature is None:
            return ANONYMOUS
        credentials = self._state.credentials(signature.access_key_id)
        if credentials is None:
            message = "The security token included in the request is invalid."
            raise IdentityError("InvalidClientTokenId", message, signature.service)
        if credentials.kind != "administrator" or credentials.secret:
            self._check(request, credentials, signature.session_token, signature.service, body_is_there)
        return self.caller_of(credentials, signature.region, signature.service)

    @staticmethod
    def _check(
        request: HttpRequest, credentials: Credentials, token: str, signing_name: str, body_is_there: bool
    ) -> None:
        if credentials.expiration and time.time() > credentials.expiration:
            message = "The security token included in the request is expired"
            raise IdentityError("ExpiredToken", message, signing_name)
        if credentials.session_token != token:
            message = "The security token included in the request is invalid."
            raise IdentityError("InvalidSessionToken", message, signing_name)
        is_presigned = "authorization" not in request.headers
        try:
            check_signature(request, credentials.secret, is_presigned, body_is_there)
        except SignatureError as error:
            raise IdentityError(error.code, str(error), signing_name) from error

    def caller_of(self, credentials: Credentials, region: str = "us-east-1", signing_name: str = "") -> Caller:
        """Returns the caller that credentials belong to, with its policies as they are now."""
        if credentials.kind == "administrator":
            principal = Principal("administrator", credentials.arn, credentials.account, keys=_keys(credentials, None))
            return Caller(principal, region=region, signing_name=signing_name, credentials=credentials)
        identity = self._identity(credentials)
        principal = Principal(
            kind=credentials.kind,
            arn=credentials.arn,
            account=credentials.account,
            role_arn=identity.arn if identity and credentials.kind == "role" else "",
            keys=_keys(credentials, identity),
        )
        boundary = identity.boundary if identity else None
        session = credentials.session_policies
        return Caller(
            principal,
            policies(document for _, document in identity.policies) if identity else (),
            None if boundary is None else policies([boundary]),
            None if session is None else policies(session),
            region,
            signing_name,
            credentials,
        )

    def _identity(self, credentials: Credentials) -> Identity | None:
        name = credentials.arn.split(":", 5)[5].split("/")
        if credentials.kind == "role":
            return self._state.role(credentials.account, name[1])
        return self._state.user(credentials.account, name[-1])


def role_caller(role: Identity, session_name: str, region: str) -> Caller:
    """Returns a role's session as a caller: for what the local AWS itself does in a role's name."""
    name = role.arn.rpartition("/")[2]
    arn = f"arn:aws:sts::{role.account}:assumed-role/{name}/{session_name}"
    credentials = Credentials("", "", role.account, "role", arn, unique_id=f"{role.unique_id}:{session_name}")
    principal = Principal("role", arn, role.account, role.arn, _keys(credentials, role))
    boundary = None if role.boundary is None else policies([role.boundary])
    return Caller(principal, policies(document for _, document in role.policies), boundary, None, region)


def policies(documents: Iterable[Document]) -> list[Policy]:
    """Returns parsed documents. One that cannot be parsed allows nothing, and is logged."""
    parsed: list[Policy] = []
    for document in documents:
        try:
            parsed.append(parse(document))
        except ValueError as error:
            logger.warning("A policy cannot be read, so it allows nothing: %s", error)
    return parsed


def _keys(credentials: Credentials, identity: Identity | None) -> Values:
    """Returns the condition keys that describe a principal. `aws:PrincipalArn` of a session is its role's ARN."""
    is_role = credentials.kind == "role"
    keys: Values = {
        "aws:principalarn": identity.arn if identity else credentials.arn,
        "aws:principalaccount": credentials.account,
        "aws:principaltype": "AssumedRole" if is_role else "Account" if credentials.kind == "administrator" else "User",
        "aws:userid": credentials.unique_id or credentials.account,
    }
    if credentials.kind == "user":
        keys["aws:username"] = credentials.arn.rpartition("/")[2]
    if is_role:
        keys["aws:multifactorauthpresent"] = "false"
        keys["aws:tokenissuetime"] = datetime.fromtimestamp(credentials.issued_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    tags = {**(identity.tags if identity else {}), **credentials.session_tags}
    return keys | {f"aws:principaltag/{name}".lower(): value for name, value in tags.items()}
