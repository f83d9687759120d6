"""Passwords and tokens: argon2 in a bounded thread pool, signed access tokens, opaque refresh tokens."""

import asyncio
import hashlib
import secrets
import time
import unicodedata
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple

import jwt
from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

ALGORITHM = "HS256"
ARGON2 = Argon2Hasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""argon2id with OWASP's minimum: 19 MiB, two passes, one lane."""


class Passwords:
    """Hashes and verifies passwords without stalling other requests.

    One takes about 20 ms of a core; two threads bound both the memory and the share of the processor that logins can
    take.
    """

    def __init__(self, threads: int = 2) -> None:
        self._hasher = PasswordHash((ARGON2, BcryptHasher()))
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        """A new hash."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, _normal(password))

    async def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Whether the password fits, and a better hash to keep when the old one is bcrypt or has weaker parameters.

        Without a hash (no such account) the same work is done in vain, so that the time tells nothing.
        """
        fits, better = await asyncio.get_running_loop().run_in_executor(
            self._threads, self._verify, _normal(password), hashed or self._nobody
        )
        return (fits, better) if hashed is not None else (False, None)

    def _verify(self, password: str, hashed: str) -> tuple[bool, str | None]:
        try:
            return self._hasher.verify_and_update(password, hashed)
        except (PwdlibError, ValueError):  # bcrypt refuses what is longer than 72 bytes, and both what is no text
            return False, None

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _normal(password: str) -> str:
    """The same password, however a keyboard composes its characters (NIST SP 800-63B, section 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


class Caller(NamedTuple):
    """Who a valid access token speaks for. That the account still stands is checked by the query that it leads to:
    `token_version` rises when the password, the role or the activity changes."""

    user_id: uuid.UUID
    token_version: int
    is_admin: bool


class Tokens:
    """Makes and reads access tokens."""

    def __init__(self, key: str, lifetime: int, former_key: str | None = None) -> None:
        self._key = key
        # Signs nothing; what it signed before the keys were changed is good until it expires.
        self._former_key = former_key
        self.lifetime = lifetime
        # A caller sends the same token again and again: its signature is checked once.
        self._verified = lru_cache(maxsize=4096)(self._verify)

    def issue(self, caller: Caller) -> str:
        """A signed token, valid for `lifetime` seconds."""
        now = int(time.time())
        claims = {
            "sub": caller.user_id.hex,
            "ver": caller.token_version,
            "adm": caller.is_admin,
            "iat": now,
            "exp": now + self.lifetime,
        }
        return jwt.encode(claims, self._key, ALGORITHM)

    def read(self, token: str) -> Caller | None:
        """Who the token speaks for; None when it is expired, forged or malformed."""
        try:
            caller, expires = self._verified(token)
        except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError):
            return None
        return caller if time.time() < expires else None

    def _verify(self, token: str) -> tuple[Caller, int]:
        try:
            claims = _claims(token, self._key)
        except jwt.InvalidSignatureError:
            if self._former_key is None:
                raise
            claims = _claims(token, self._former_key)
        return Caller(uuid.UUID(claims["sub"]), int(claims["ver"]), claims["adm"] is True), int(claims["exp"])


def _claims(token: str, key: str) -> dict[str, Any]:
    return jwt.decode(token, key, [ALGORITHM], options={"require": ["exp", "sub", "ver", "adm"]})


def new_refresh_token() -> str:
    """256 random bits; the database keeps only their hash."""
    return secrets.token_urlsafe(32)


def fingerprint(secret: str) -> str:
    """How a random secret is stored: a plain hash is enough for what cannot be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()
