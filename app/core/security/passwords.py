"""Passwords: argon2 in a bounded thread pool."""

import asyncio
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

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
        self._threads.shutdown(wait=False, cancel_futures=True)


def _normal(password: str) -> str:
    """The same password, however a keyboard composes its characters (NIST SP 800-63B, section 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
