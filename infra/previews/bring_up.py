"""Making a preview and bringing it up to date: the same steps, which may be cut off anywhere and done again."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infra import naming
from infra.borrowed import DATABASE_URL
from infra.errors import SlipwayError
from infra.local import engine as local_engine
from infra.local.paths import project
from infra.previews import leftovers
from infra.previews.bill import usd_a_day
from infra.previews.engine import Engine, alone, config_of, folder_of, set_secret, write_stack_file
from infra.previews.ground import Ground
from infra.previews.guard import BASE, DATABASE, EXPIRES, EXTERNAL, KIND, NAME, PREVIEW, Seen, look, refusal
from infra.previews.lifetime import end
from infra.release.speaker import Say
from infra.settings import SECRETS_KEY

VARIABLE = "SLIPWAY_PREVIEW_DATABASE_URL"
"""The URL of a database that a preview is to use; none: it gets one of its own in its environment's server."""


@dataclass(frozen=True)
class Wanted:
    """A preview as it is asked for."""

    name: str
    """As its branch is called."""
    stack: str
    expires: str
    """How long it lives from now on: 3d."""
    image: str = ""
    """A digest of the registry; empty: built from the sources here."""


def bring_up(engine: Engine, ground: Ground, wanted: Wanted, now: datetime, say: Say) -> dict[str, Any]:
    """Make the preview or update it, and look that it serves; what `--json` prints.

    Raises `SlipwayError` where the stack is somebody else's, where there are too many, or with the engine's reason.
    """
    began, stack = time.monotonic(), wanted.stack
    with alone(stack):
        if engine.session:
            local_engine.recover(engine.session, stack, folder_of(stack))
        before = _own(engine, ground, wanted, say)
        database = _external_database(before)
        expires = end(wanted.expires, now)
        tags = {KIND: PREVIEW, BASE: ground.base, NAME: wanted.name, EXPIRES: expires}
        tags |= {DATABASE: EXTERNAL} if database else {}
        for key, value in tags.items():
            if before.tags.get(key) != value:
                engine.ask("stack", "tag", "set", key, value, "--stack", stack)
        own = {
            "kind": PREVIEW,
            "base": ground.base,
            "imageDigest": wanted.image,
            "expiresAt": expires,
            "rulePriority": ground.free_priority(stack),
        }
        write_stack_file(engine, stack, config_of(ground.base, own))
        if database:
            set_secret(engine, stack, f'{SECRETS_KEY}["{DATABASE_URL}"]', database)
        engine.run("up", "--yes", "--skip-preview", "--stack", stack, folder=folder_of(stack))
        seen = look(engine, stack)
    return described(seen) | {"seconds": round(time.monotonic() - began, 1)}


def _own(engine: Engine, ground: Ground, wanted: Wanted, say: Say) -> Seen:
    """The stack as it is, made where there is none; refused where it is not this preview's."""
    others = [s for s in engine.stacks("--tag", f"{BASE}={ground.base}") if s != wanted.stack]
    if wanted.stack in engine.stacks():
        seen = look(engine, wanted.stack)
        empty = not seen.broken and not seen.tags and not seen.resources and seen.config is None
        why = "" if empty else refusal(seen, ground.base)
        if why:
            raise SlipwayError(
                f"There is a stack {wanted.stack}, and it is not this preview: {why}.", "Take another name."
            )
        if seen.tags.get(NAME, wanted.name) != wanted.name:
            raise SlipwayError(f"{wanted.stack} is the preview of {seen.tags[NAME]}.", "Take another name.")
        _refuse_what_it_does_not_know(ground, wanted, seen)
        return seen
    if len(others) >= ground.limit:
        raise SlipwayError(
            f"{ground.base} bears {len(others)} previews, and may bear {ground.limit}: {', '.join(sorted(others))}.",
            f"slipway preview destroy one of them, or raise previewLimit of {ground.base}.",
        )
    _refuse_what_it_does_not_know(ground, wanted, Seen(wanted.stack))
    say(f"Making the preview {wanted.stack} on {ground.base}.")
    engine.ask("stack", "init", wanted.stack, "--no-select", folder=folder_of(wanted.stack))
    return Seen(wanted.stack)


def _refuse_what_it_does_not_know(ground: Ground, wanted: Wanted, seen: Seen) -> None:
    """A rule that is there already has the place that the new one would get, and a service goes on costing."""
    known = {id for resource in seen.resources for id in resource.get("ids", ())}
    found = leftovers.of_stack(ground.aws.of(ground.cluster), naming.stack_name(project(), wanted.stack))
    lost = [each.arn for each in found if each.made_by_the_engine and each.arn.removesuffix(":*") not in known]
    if lost:
        raise SlipwayError(
            f"AWS has of {wanted.stack} what its stack does not know of: {', '.join(lost)}. "
            "Its state was lost, or an update was killed or is under way elsewhere.",
            f"slipway preview destroy {wanted.name} --base {ground.base} --fix, then create it; or wait for that one.",
        )


def _external_database(before: Seen) -> str:
    """The URL of a database that is there already; empty for one in the environment's server."""
    given = os.environ.get(VARIABLE, "")
    if before.tags.get(DATABASE) == EXTERNAL and not given:
        raise SlipwayError(
            f"The database of {before.stack} is external, and {VARIABLE} is not set.",
            f"Set {VARIABLE} to its URL again: the preview would come up with another database.",
        )
    return given


def described(seen: Seen) -> dict[str, Any]:
    """A preview for a program."""
    made = [r for r in seen.resources if not r["type"].startswith(("pulumi:", "slipway:"))]
    return {
        "name": seen.tags.get(NAME, ""),
        "stack": seen.stack,
        "project": project(),
        "base": seen.tags.get(BASE, ""),
        "url": seen.outputs.get("url", ""),
        "image": seen.outputs.get("imageDigest", ""),
        "expires": seen.tags.get(EXPIRES, ""),
        "resources": len(made),
        "usd_a_day": usd_a_day(seen.resources),
    }
