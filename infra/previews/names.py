"""From whatever a branch is called to the name of a stack that AWS and Postgres take, never one for two."""

from __future__ import annotations

import hashlib
import re

from infra import naming
from infra.errors import SlipwayError

FIRST = "pr-"
"""What the name of every preview's stack begins with, and of no environment's that this repository has."""
MARK = 8
"""Hex digits behind a name that had to be changed: of two names in four billion they are the same."""
CHANGED = re.compile(rf"-[0-9a-f]{{{MARK}}}$")
OURS = re.compile(r"^pr-[a-z0-9]+(-[a-z0-9]+)*$")


def stack_of(name: str, project: str) -> str:
    """The stack of the preview `name`: `pr-42` stays, `feature/Login` becomes `pr-feature-l-` and a mark of its own.

    A name that looks changed is changed as well, so that nobody's own name is what another's becomes.
    Raises `SlipwayError` where the project's name leaves no room, or where there is no name.
    """
    if not name.strip():
        raise SlipwayError("A preview has a name.", "slipway preview create pr-42 --base STACK")
    longest = naming.LONGEST - len(naming.stack_name(project, ""))
    room = longest - len(FIRST) - MARK - 1
    if room < 1:
        raise SlipwayError(
            f"The project's name {project!r} leaves no room for the names of previews.",
            f"It may have {naming.LONGEST - len(FIRST) - MARK - 3} characters: `name` in Pulumi.yaml.",
        )
    if OURS.match(name) and len(name) <= longest and not CHANGED.search(name):
        return name
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower().removeprefix(FIRST)).strip("-")[:room].strip("-")
    mark = hashlib.sha256(name.encode()).hexdigest()[:MARK]
    return "-".join(filter(None, [FIRST.rstrip("-"), plain, mark]))


def is_ours(stack: str) -> bool:
    """Whether a stack may be a preview by its name."""
    return bool(OURS.match(stack))
