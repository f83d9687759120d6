"""The one error type for what a user can mend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError


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


def explained(error: ValidationError, source: str) -> SlipwayError:
    """What pydantic found wrong with the values that came from `source`, in the words of who wrote them."""
    problems = [_explain(dict(problem)) for problem in error.errors()]
    return SlipwayError(
        f"{source}: {len(problems)} wrong value(s), nothing was changed:\n" + "\n".join(f"  {p}" for p in problems),
        "Correct the value in that file; for a stack's file also: pulumi config set KEY VALUE",
    )


def _explain(problem: dict[str, Any]) -> str:
    reason = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return reason
    key = ".".join(str(part) for part in problem["loc"] if part != "[key]")
    if problem["type"] == "extra_forbidden":
        return f"{key}: there is no such key"
    if problem["type"] == "missing":
        return f"{key}: must be set"
    return f"{key} is {problem['input']!r}: {reason}"
