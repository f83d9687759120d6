"""Taking a preview away: its database, its stack, and whatever is left of it in AWS."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra import naming
from infra.errors import SlipwayError
from infra.local import engine as local_engine
from infra.local.paths import project, run_dir
from infra.previews import leftovers
from infra.previews.engine import Engine, alone, folder_of, write_stack_file
from infra.previews.ground import Ground
from infra.previews.guard import PREVIEW, Seen, look, refusal
from infra.previews.leftovers import Leftover
from infra.release import preview_database
from infra.release.client import Aws
from infra.release.speaker import Say


@dataclass(frozen=True)
class TakenDown:
    """What came of it."""

    stack: str
    existed: bool
    """Whether there was a stack; its rests are looked for in any case."""
    database: bool
    """Whether the environment's database server was asked to drop its own; not where the environment is gone."""
    leftovers: list[Leftover]
    fixed: list[Leftover]
    seconds: float

    def json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "stack": self.stack,
            "existed": self.existed,
            "database_dropped": self.database,
            "leftovers": [each.json() for each in self.leftovers],
            "fixed": [each.json() for each in self.fixed],
            "seconds": self.seconds,
        }


def take_down(
    engine: Engine, ground: Ground | None, stack: str, say: Say, *, fix: bool, log: Path | None = None
) -> TakenDown:
    """Take the preview away, as far as it is there; nothing of it is fine.

    `ground`: None where nobody knows its environment. Where that is gone, its database server is gone with it, and what
    is left is looked for where the preview's own state says that it was. `fix`: what is left is removed too.
    Raises `SlipwayError` where the stack is no preview, or with the engine's reason.
    """
    began = time.monotonic()
    with alone(stack):
        existed = engine.has(stack)
        seen = look(engine, stack) if existed else Seen(stack)
        cluster = (ground and ground.cluster) or (seen.outputs.get("preview") or {}).get("cluster", "")
        if existed:
            _refuse_others(seen, ground)
            if engine.session:
                local_engine.recover(engine.session, stack, folder_of(stack))
        if ground and ground.server:
            name = preview_database.database_name(stack)
            say(f"Dropping the database {name}.")
            preview_database.drop(ground.aws.of(ground.cluster), ground.server, name, say)
        if existed:
            # The engine wants what has no default; how AWS is reached stands in the state.
            write_stack_file(engine, stack, {f"{project()}:kind": PREVIEW, f"{project()}:tier": "dev"})
            engine.run(
                "destroy", "--yes", "--skip-preview", "--remove", "--stack", stack, folder=folder_of(stack), log=log
            )
        shutil.rmtree(run_dir() / "previews" / stack, ignore_errors=True)
        found, fixed = _sweep(ground.aws.of(cluster), stack, say, fix=fix) if ground and cluster else ([], [])
    return TakenDown(stack, existed, bool(ground and ground.server), found, fixed, round(time.monotonic() - began, 1))


def _refuse_others(seen: Seen, ground: Ground | None) -> None:
    why = refusal(seen, ground.base if ground else "")
    if why:
        raise SlipwayError(
            f"The stack {seen.stack} is not touched: {why}.",
            "If it is a preview after all, take it away with `pulumi destroy` yourself.",
        )


def _sweep(aws: Aws, stack: str, say: Say, *, fix: bool) -> tuple[list[Leftover], list[Leftover]]:
    """What is left, and what was removed of it. Revisions of its tasks always go: nothing can go back to them."""
    found = leftovers.of_stack(aws, naming.stack_name(project(), stack))
    expected = [each for each in found if ":task-definition/" in each.arn]
    leftovers.remove(aws, expected)
    found = [each for each in found if each not in expected]
    for each in found:
        say(f"Left behind: {each.arn}")
    if not found or not fix:
        return found, []
    kept = leftovers.remove(aws, found)
    return kept, [each for each in found if each not in kept]
