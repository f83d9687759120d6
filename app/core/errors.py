"""What goes wrong: one exception for what a caller did wrong, and what a database's errors mean.

Nothing of the web is imported here, for the jobs and the release step need these too, and no server.
"""

import sqlite3
from collections.abc import Mapping

from sqlalchemy.exc import DBAPIError


class Problem(Exception):
    """An answer other than success; services raise it, and one handler renders it.

    `keeps_changes`: the request's transaction is committed all the same, because the refusal itself must be
    remembered (a stolen refresh token revokes its family).
    """

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, keeps_changes: bool = False
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers
        self.keeps_changes = keeps_changes


BEARER = {"WWW-Authenticate": "Bearer"}


def not_authenticated() -> Problem:
    """The answer to a token that is missing, expired, or of an account that is not active any more."""
    return Problem(401, "A valid access token is needed.", headers=BEARER)


class StoreUnavailableError(Exception):
    """Redis does not answer; callers carry on without it."""


class DatabaseUnavailableError(OSError):
    """The database cannot be connected to, or does not answer. Its text is the reason, in one line."""


# SQLSTATE classes: 08 connection, 53 resources, 57 operator intervention (shutdown, cancelled); 40001 and 40P01
# are lost races, 55P03 is a lock that was not free in time, 25006 a server that is the standby since a failover.
_PASSING = ("08", "53", "57", "40001", "40P01", "55P03", "25006")
# SQLite: busy, locked, read-only, input or output, full, cannot open.
_PASSING_SQLITE = (5, 6, 8, 10, 13, 14)


def refers_to_nothing(error: DBAPIError) -> bool:
    """Whether a row refers to one that is not there (any more): a foreign key's violation."""
    state, code = getattr(error.orig, "sqlstate", None), getattr(error.orig, "sqlite_errorcode", None)
    return state == "23503" or code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY


def is_passing(error: DBAPIError) -> bool:
    """Whether the same request may succeed a moment later."""
    state = str(getattr(error.orig, "sqlstate", None) or "")
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    return error.connection_invalidated or state.startswith(_PASSING) or code in _PASSING_SQLITE
