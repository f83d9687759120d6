"""Tokens: signed access tokens, opaque refresh tokens."""

import hashlib
import secrets
import time
import uuid
from functools import lru_cache
from typing import Any, NamedTuple

import jwt

ALGORITHM = "HS256"
LEEWAY_SECONDS = 5
"""How far ahead another container's clock may be: a token that it has just issued is taken here, too."""


class TokenClaims(NamedTuple):
    """What a valid access token says, and nothing of the account as it is now: `token_version` rises when the password,
    the role or the activity changes, and services.users.require_active_user compares it."""

    user_id: uuid.UUID
    token_version: int
    is_admin: bool


class Tokens:
    """Makes and reads access tokens."""

    def __init__(self, key: str, lifetime: int, former_key: str | None = None) -> None:
        self._key, self.lifetime = key, lifetime
        self._former_key = former_key  # signs nothing; what it signed before a rotation is good until it expires
        # A caller sends the same token again and again: its signature is checked once.
        self._verified = lru_cache(maxsize=4096)(self._verify)

    def issue(self, claims: TokenClaims) -> str:
        """A signed token, valid for `lifetime` seconds."""
        now = int(time.time())
        payload = {"sub": claims.user_id.hex, "ver": claims.token_version, "adm": claims.is_admin}
        payload |= {"iat": now, "exp": now + self.lifetime}
        return jwt.encode(payload, self._key, ALGORITHM)

    def read(self, token: str) -> TokenClaims | None:
        """What the token says; None when it is expired, forged or malformed."""
        try:
            claims, expires = self._verified(token)
        except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError):
            return None
        return claims if time.time() < expires else None

    def _verify(self, token: str) -> tuple[TokenClaims, int]:
        try:
            payload = _decode(token, self._key)
        except jwt.InvalidSignatureError:
            if self._former_key is None:
                raise
            payload = _decode(token, self._former_key)
        claims = TokenClaims(uuid.UUID(payload["sub"]), int(payload["ver"]), payload["adm"] is True)
        return claims, int(payload["exp"])


def _decode(token: str, key: str) -> dict[str, Any]:
    return jwt.decode(token, key, [ALGORITHM], options={"require": ["exp", "sub", "ver", "adm"]}, leeway=LEEWAY_SECONDS)


def new_refresh_token() -> str:
    """256 random bits; the database keeps only their hash."""
    return secrets.token_urlsafe(32)


def fingerprint(secret: str) -> str:
    """How a random secret is stored: a plain hash is enough for what cannot be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()
