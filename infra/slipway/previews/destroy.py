"""Destroys a preview: its database, its stack and its leftovers in AWS."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.config import names
from slipway.config.errors import SlipwayError
from slipway.config.project import project_name, run_dir
from slipway.previews import orphans
from slipway.previews.base_environment import BaseEnvironment
from slipway.previews.identity import StackSnapshot, inspect_stack, why_not_a_preview
from slipway.previews.orphans import OrphanedResource
from slipway.previews.preview_stacks import PulumiBackend, ensure_project_folder, lock_preview, write_stack_file
from slipway.previews.stack_tags import PREVIEW_KIND
from slipway.release import preview_database
from slipway.release.aws_session import AwsSession
from slipway.release.progress import ProgressReporter


@dataclass(frozen=True)
class DestroyResult:
    """The result of `destroy_preview`."""

    stack: str
    existed: bool
    """Whether there was a stack; leftovers are searched for in any case."""
    database: bool
    """Whether its database was dropped; False if the environment or its database task does not exist."""
    leftovers: list[OrphanedResource]
    fixed: list[OrphanedResource]
    seconds: float

    def json(self) -> dict[str, Any]:
        """Returns the object of `--json`."""
        return {
            "stack": self.stack,
            "existed": self.existed,
            "database_dropped": self.database,
            "leftovers": [each.json() for each in self.leftovers],
            "fixed": [each.json() for each in self.fixed],
            "seconds": self.seconds,
        }


def destroy_preview(
    engine: PulumiBackend,
    base: BaseEnvironment | None,
    stack: str,
    say: ProgressReporter,
    *,
    fix: bool,
    log: Path | None = None,
) -> DestroyResult:
    """Destroys the existing parts of the preview; succeeds if there are none.

    `base`: None if its environment is unknown. If that was destroyed or has its previews disabled, the preview's own
    state has its AWS configuration. `fix`: also delete leftovers.
    Raises `SlipwayError` if the stack is not a preview, or with Pulumi's error.
    """
    began = time.monotonic()
    with lock_preview(stack):
        existed = engine.has(stack)
        snapshot = inspect_stack(engine, stack) if existed else StackSnapshot(stack)
        cluster = (base and base.cluster) or (snapshot.outputs.get("preview") or {}).get("cluster", "")
        if existed:
            _ensure_is_preview(snapshot, base)
            if engine.local_aws:
                engine.local_aws.recover_stack(stack, ensure_project_folder(stack))
        if base and base.server:
            name = preview_database.preview_database_name(stack)
            say(f"Dropping the database {name}.")
            preview_database.drop_database(base.aws.of(base.cluster), base.server, name, say)
        if existed:
            _destroy_stack(engine, snapshot, log)
        shutil.rmtree(run_dir() / "previews" / stack, ignore_errors=True)
        leftovers: list[OrphanedResource] = []
        fixed: list[OrphanedResource] = []
        if base and cluster:
            leftovers, fixed = _find_and_delete_orphans(base.aws.of(cluster), stack, say, fix=fix)
    seconds = round(time.monotonic() - began, 1)
    return DestroyResult(stack, existed, bool(base and base.server), leftovers, fixed, seconds)


def _destroy_stack(engine: PulumiBackend, snapshot: StackSnapshot, log: Path | None) -> None:
    stack = snapshot.stack
    folder = ensure_project_folder(stack)
    if snapshot.is_empty:
        engine.ask("stack", "rm", "--yes", "--stack", stack, folder=folder)
        return
    # The program's required settings; the state has the AWS configuration.
    write_stack_file(engine, stack, {f"{project_name()}:kind": PREVIEW_KIND, f"{project_name()}:tier": "dev"})
    engine.run("destroy", "--yes", "--skip-preview", "--remove", "--stack", stack, folder=folder, log=log)


def _ensure_is_preview(snapshot: StackSnapshot, base: BaseEnvironment | None) -> None:
    reason = why_not_a_preview(snapshot, base.base if base else "")
    if reason:
        raise SlipwayError(
            f"The stack {snapshot.stack} is not touched: {reason}.",
            f"If it is a preview nevertheless, destroy it with: pulumi destroy --stack {snapshot.stack}",
        )


def _find_and_delete_orphans(
    aws: AwsSession, stack: str, say: ProgressReporter, *, fix: bool
) -> tuple[list[OrphanedResource], list[OrphanedResource]]:
    """Returns the leftovers and the deleted ones. Always deletes task definitions: a rollback cannot use them."""
    in_aws = orphans.find_orphans(aws, names.stack_name(project_name(), stack))
    task_definitions = [each for each in in_aws if ":task-definition/" in each.arn]
    orphans.delete_orphans(aws, task_definitions)
    leftovers = [each for each in in_aws if each not in task_definitions]
    for leftover in leftovers:
        say(f"Leftover: {leftover.arn}")
    if not leftovers or not fix:
        return leftovers, []
    remaining = orphans.delete_orphans(aws, leftovers)
    return remaining, [each for each in leftovers if each not in remaining]
