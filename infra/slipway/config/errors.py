"""The error type for problems that a user can fix."""

from __future__ import annotations


class SlipwayError(Exception):
    """What is wrong and where, and in `fix` the next thing to do.

    The command line prints both without a stack trace and exits with 1.
    """

    def __init__(self, message: str, fix: str = "", *, where: str = "", why: str = "") -> None:
        """`where` and `why` are the place and the cause alone, for --json; the sentence `message` has them too."""
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.where = where
        self.why = why

    def __str__(self) -> str:
        return f"{self.message}\n  {self.fix}" if self.fix else self.message
