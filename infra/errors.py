"""The one error type for what a user can mend."""

from __future__ import annotations


class SlipwayError(Exception):
    """Something a user can mend: what is wrong and where, and the next thing to do.

    The command line prints both parts without a stack trace and exits 1.
    """

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}\n  {self.fix}" if self.fix else self.message
