"""Enforces previewLimit: each preview claims a place on its environment."""

from __future__ import annotations

from slipway.config.errors import SlipwayError
from slipway.previews.base_environment import BaseEnvironment
from slipway.previews.identity import StackSnapshot, why_not_a_preview
from slipway.previews.preview_stacks import PulumiBackend, ensure_project_folder, lock_base
from slipway.previews.stack_tags import NAME_TAG
from slipway.release.progress import ProgressReporter


def claim_place(
    engine: PulumiBackend,
    base: BaseEnvironment,
    snapshot: StackSnapshot,
    tags: dict[str, str],
    say: ProgressReporter,
    *,
    exists: bool,
) -> None:
    """Creates the preview's stack if it does not exist, and sets its `tags`, whose last one claims the place.

    Counts the claims again afterwards: of two concurrent commands on different machines, each then sees the other's
    claim, and removes its own if there are too many.
    Raises `SlipwayError` if all places are taken.
    """
    with lock_base(base.base):
        if snapshot.is_empty:
            _ensure_free_place(base, _others(engine, base, snapshot.stack))
        if not exists:
            say(f"Creating the preview {snapshot.stack} on {base.base}.")
            engine.ask("stack", "init", snapshot.stack, "--no-select", folder=ensure_project_folder(snapshot.stack))
        for key, value in tags.items():
            if snapshot.tags.get(key) != value:
                engine.ask("stack", "tag", "set", key, value, "--stack", snapshot.stack)
        if not snapshot.is_empty:
            return
        others = _others(engine, base, snapshot.stack)
        if len(others) >= base.limit:
            engine.ask("stack", "rm", "--yes", "--stack", snapshot.stack, folder=ensure_project_folder(snapshot.stack))
            _ensure_free_place(base, others)


def ensure_own_stack(snapshot: StackSnapshot, name: str, base: BaseEnvironment) -> None:
    """Raises `SlipwayError` if a stack is neither the preview `name` on `base` nor empty."""
    reason = why_not_a_preview(snapshot, base.base)
    if reason:
        raise SlipwayError(
            f"The stack {snapshot.stack} exists, and it is not this preview: {reason}.",
            f"Use another name, or inspect it: pulumi stack --stack {snapshot.stack}",
        )
    if snapshot.tags.get(NAME_TAG, name) != name:
        raise SlipwayError(
            f"The stack {snapshot.stack} is the preview of {snapshot.tags[NAME_TAG]}, and not of {name}.",
            "Use another name.",
        )


def _others(engine: PulumiBackend, base: BaseEnvironment, stack: str) -> list[str]:
    return sorted(other for other in engine.previews(base.base) if other != stack)


def _ensure_free_place(base: BaseEnvironment, others: list[str]) -> None:
    if len(others) >= base.limit:
        raise SlipwayError(
            f"{base.base} has {len(others)} previews, and previewLimit is {base.limit}: {', '.join(others)}.",
            f"Destroy one with slipway preview destroy, or raise previewLimit of {base.base} and run pulumi up.",
        )
