"""Checks web identity tokens: JWTs of an OIDC issuer, by the issuer's published keys."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import jwt

from slipway_local.rights.aws_state import OidcProvider

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
FETCH_SECONDS = 5
KEPT_SECONDS = 60
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class WebIdentityError(Exception):
    """A token that STS refuses. `code` is STS's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class IssuerKeys:
    """Published keys of OIDC issuers: fetched from loopback, or registered.

    A test serves a real issuer's name under `addresses`: the local AWS sends no requests to the network.
    """

    addresses: dict[str, str] = field(default_factory=dict)
    """Where on loopback an issuer is: `https://token.actions.githubusercontent.com` to `http://127.0.0.1:9000`."""

    registered: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Key sets (JWKS) of issuers that are nowhere."""

    _fetched: dict[str, tuple[float, Mapping[str, Any]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def key(self, issuer: str, key_id: str | None) -> jwt.PyJWK:
        """Returns the key of that id; an issuer's only key may be meant without.

        Raises:
            WebIdentityError: the issuer cannot be reached, or has no such key.
        """
        for is_fresh in (False, True):  # an issuer may have changed its keys since
            keys = [each for each in self._key_set(issuer, is_fresh).get("keys", ()) if each.get("use") != "enc"]
            named = [each for each in keys if key_id is None or each.get("kid") == key_id]
            if named:
                return jwt.PyJWK(dict(named[0]))
        raise WebIdentityError(
            "InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider."
        )

    def _key_set(self, issuer: str, is_fresh: bool) -> Mapping[str, Any]:
        if issuer in self.registered:
            return self.registered[issuer]
        with self._lock:
            fetched_at, keys = self._fetched.get(issuer, (0.0, {}))
        if not is_fresh and time.monotonic() - fetched_at < KEPT_SECONDS and keys:
            return keys
        keys = self._fetch(issuer)
        with self._lock:
            self._fetched[issuer] = (time.monotonic(), keys)
        return keys

    def _fetch(self, issuer: str) -> Mapping[str, Any]:
        base = self.addresses.get(issuer, issuer).rstrip("/")
        if urlsplit(base).hostname not in _LOOPBACK:
            raise WebIdentityError(
                "InvalidIdentityToken",
                "Couldn't retrieve verification key from your identity provider: "
                f"the local AWS knows no keys of {issuer}.",
            )
        try:
            configuration = _json(f"{base}/.well-known/openid-configuration")
            keys_url = str(configuration["jwks_uri"])
            if urlsplit(keys_url).hostname not in _LOOPBACK:
                keys_url = base + urlsplit(keys_url).path
            return _json(keys_url)
        except (OSError, ValueError, KeyError) as error:
            raise WebIdentityError(
                "IDPCommunicationError", f"The identity provider {issuer} does not answer."
            ) from error


def _json(url: str) -> Mapping[str, Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=FETCH_SECONDS) as answer:
        value = json.load(answer)
    if not isinstance(value, dict):
        raise ValueError(f"{url} is not a JSON object")
    return value


def unverified_issuer(token: str) -> str:
    """Returns the issuer that a token names, before anything of it is checked.

    Raises:
        WebIdentityError: it is no JWT.
    """
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise WebIdentityError("InvalidIdentityToken", "The ID Token provided is not a valid JWT.") from error
    return str(claims.get("iss", ""))


def verified_claims(token: str, provider: OidcProvider, keys: IssuerKeys) -> Mapping[str, Any]:
    """Returns the claims of a token: signature, expiry, issuer and audience are right.

    Raises:
        WebIdentityError: one of them is not.
    """
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS:
            raise WebIdentityError("InvalidIdentityToken", f"Algorithm {header.get('alg')} is not supported.")
        claims: Mapping[str, Any] = jwt.decode(
            token,
            keys.key(provider.url, header.get("kid")),
            algorithms=list(ALGORITHMS),
            issuer=[provider.url, provider.url + "/"],
            options={"verify_aud": False, "require": ["exp", "iat", "iss", "sub", "aud"]},
        )
    except jwt.ExpiredSignatureError as error:
        raise WebIdentityError(
            "ExpiredTokenException", "Token expired: it must be used before its expiration date."
        ) from error
    except jwt.PyJWTError as error:
        raise WebIdentityError("InvalidIdentityToken", f"The ID Token provided is not valid: {error}") from error
    if not set(audiences(claims)) & set(provider.client_ids):
        raise WebIdentityError("InvalidIdentityToken", "Incorrect token audience")
    return claims


def audiences(claims: Mapping[str, Any]) -> Sequence[str]:
    """Returns whom a token is for; the authorized party alone where it names one."""
    value = claims.get("azp") or claims.get("aud")
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]
