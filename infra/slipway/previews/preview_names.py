"""Derives a stack name from a branch's name: valid in AWS and Postgres, and unique for each branch."""

from __future__ import annotations

import hashlib
import re

from slipway.config import names
from slipway.config.errors import SlipwayError

STACK_PREFIX = "pr-"
"""Prefix of previews' stack names; environments may not use it."""
HASH_LENGTH = 8
"""Hex digits appended to a changed name: 1 collision in 4 billion."""
HASHED_NAME_PATTERN = re.compile(rf"-[0-9a-f]{{{HASH_LENGTH}}}\Z")
PREVIEW_STACK_NAME_PATTERN = re.compile(r"pr-[a-z0-9]+(-[a-z0-9]+)*\Z")


def preview_stack_name(name: str, project: str) -> str:
    """Returns the stack of the preview `name`: `pr-42` is kept, `feature/Login` becomes `pr-feature-login-` and a hash.

    A name that looks like such a result gets a hash as well, so that no two names have one stack.
    Raises `SlipwayError` if the project's name is too long, or if the name is empty or has unprintable characters.
    """
    if not name.strip():
        raise SlipwayError("The preview's name is empty.", "slipway preview create pr-42 --base STACK")
    if not name.isprintable():
        raise SlipwayError(
            f"The preview's name {name!r} has a line break, a control character or invalid UTF-8.",
            "Use the branch's name, or a simple one: pr-42",
        )
    longest = names.MAX_STACK_NAME_LENGTH - len(names.stack_name(project, ""))
    room = longest - len(STACK_PREFIX) - HASH_LENGTH - 1
    if room < 1:
        raise SlipwayError(
            f"The project's name {project!r} is too long for names of previews.",
            f"The maximum is {names.MAX_STACK_NAME_LENGTH - len(STACK_PREFIX) - HASH_LENGTH - 3} characters: "
            "`name` in Pulumi.yaml.",
        )
    if PREVIEW_STACK_NAME_PATTERN.match(name) and len(name) <= longest and not HASHED_NAME_PATTERN.search(name):
        return name
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower().removeprefix(STACK_PREFIX)).strip("-")[:room].strip("-")
    suffix = hashlib.sha256(name.encode()).hexdigest()[:HASH_LENGTH]
    return "-".join(filter(None, [STACK_PREFIX.rstrip("-"), plain, suffix]))


def is_preview_stack_name(stack: str) -> bool:
    """Whether a stack's name has a preview's form."""
    return bool(PREVIEW_STACK_NAME_PATTERN.match(stack))
