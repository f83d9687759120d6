"""Authorizer of the image registry: Docker's own protocol, by the token that ECR's GetAuthorizationToken gave out.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

from slipway.config.local_aws import LOCAL_ACCOUNT
from slipway_local.rights.answers import Answer
from slipway_local.rights.aws_state import AwsState, Credentials
from slipway_local.rights.wire import HttpRequest

TOKEN_SECONDS = 12 * 3600
_PATH = re.compile(r"^/v2/(?:(?P<name>.+)/(?P<kind>blobs|manifests|tags)/(?P<rest>.*))?$")
_USER = "AWS"

_ACTIONS: Mapping[tuple[str, str], str] = {
    ("GET", "manifests"): "BatchGetImage",
    ("HEAD", "manifests"): "BatchGetImage",
    ("PUT", "manifests"): "PutImage",
    ("DELETE", "manifests"): "BatchDeleteImage",
    ("GET", "blobs"): "GetDownloadUrlForLayer",
    ("HEAD", "blobs"): "BatchCheckLayerAvailability",
    ("POST", "blobs"): "InitiateLayerUpload",
    ("PATCH", "blobs"): "UploadLayerPart",
    ("PUT", "blobs"): "CompleteLayerUpload",
    ("GET", "tags"): "ListImages",
}
"""IAM action by HTTP method and kind of path. Another method is none of the protocol, and refused."""


@dataclass(frozen=True)
class _Token:
    credentials: Credentials
    region: str
    expiration: float


class RegistryTokens:
    """Passwords of the registry, each for the caller of GetAuthorizationToken."""

    def __init__(self) -> None:
        self._tokens: dict[str, _Token] = {}

    def answer(self, credentials: Credentials, region: str) -> Answer:
        """Returns what GetAuthorizationToken answers, with a new password. It ends with the caller's session."""
        now = time.time()
        self._tokens = {name: each for name, each in self._tokens.items() if each.expiration > now}
        password = secrets.token_urlsafe(32)
        expiration = min(now + TOKEN_SECONDS, credentials.expiration or now + TOKEN_SECONDS)
        self._tokens[password] = _Token(credentials, region, expiration)
        data = {
            "authorizationToken": base64.b64encode(f"{_USER}:{password}".encode()).decode(),
            "expiresAt": int(expiration),
            "proxyEndpoint": f"https://{credentials.account}.dkr.ecr.{region}.amazonaws.com",
        }
        headers = {"content-type": "application/x-amz-json-1.1"}
        return Answer(200, headers, json.dumps({"authorizationData": [data]}).encode())

    def credentials(self, request: HttpRequest) -> tuple[Credentials, str] | None:
        """Returns whose password the request has, and the region; None for another password or none."""
        kind, _, encoded = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            user, _, password = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        token = self._tokens.get(password)
        if user != _USER or token is None or token.expiration < time.time():
            return None
        return token.credentials, token.region


def is_registry_path(path: str) -> bool:
    """Whether a path is of Docker's registry protocol, and not of another API that begins with `/v2/`."""
    return _PATH.match(path) is not None


def asks_for_login(request: HttpRequest) -> bool:
    """Whether the request is Docker's question what the registry is, on the address where that asks for a password.

    Docker shows a password only where the answer is 401. On this machine it may push without one as `localhost`, which
    is the person's way; a role's pushes take this address.
    """
    is_question = _PATH.match(request.raw_path) is not None and request.raw_path.strip("/") == "v2"
    return is_question and request.headers.get("host", "").startswith("127.0.0.1")


def registry_action(request: HttpRequest, account: str, region: str, state: AwsState) -> tuple[str, str] | None:
    """Returns a request's IAM action and its repository's ARN; None for the question whether a registry is there."""
    match = _PATH.match(request.raw_path)
    if match is None or not match["name"]:
        return None
    action = _ACTIONS.get((request.method, match["kind"]), "UnknownRequest")
    arns = [f"arn:aws:ecr:{region}:{owner}:repository/{match['name']}" for owner in (account, LOCAL_ACCOUNT)]
    return f"ecr:{action}", next((arn for arn in arns if state.resource_policy(arn)), arns[0])


def denied(message: str) -> Answer:
    """Returns a refusal in the registry's form."""
    body = json.dumps({"errors": [{"code": "DENIED", "message": message}]})
    return Answer(403, {"content-type": "application/json"}, body.encode())


def unauthorized() -> Answer:
    """Returns the answer to a request without a valid password."""
    body = json.dumps({"errors": [{"code": "UNAUTHORIZED", "message": "Not Authorized"}]})
    headers = {"content-type": "application/json", "www-authenticate": 'Basic realm="ecr",service="ecr.amazonaws.com"'}
    return Answer(401, headers, body.encode())
