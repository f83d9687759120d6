"""Creates and updates a preview by the same steps; each can be interrupted and repeated."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from slipway.config import names
from slipway.config.errors import SlipwayError
from slipway.config.project import project_name
from slipway.config.settings import SECRETS_CONFIG_KEY
from slipway.previews import orphans
from slipway.previews.base_environment import BaseEnvironment
from slipway.previews.identity import StackSnapshot, inspect_stack
from slipway.previews.places import claim_place, ensure_own_stack
from slipway.previews.preview_cost import estimate_daily_cost
from slipway.previews.preview_stacks import (
    PulumiBackend,
    build_preview_config,
    ensure_no_encrypted_values,
    ensure_project_folder,
    lock_preview,
    set_secret,
    write_stack_file,
)
from slipway.previews.stack_tags import (
    BASE_TAG,
    DATABASE_TAG,
    EXPIRES_TAG,
    EXTERNAL_DATABASE,
    KIND_TAG,
    NAME_TAG,
    PREVIEW_KIND,
)
from slipway.previews.ttl import compute_expiry
from slipway.program.preview_data import EXTERNAL_DATABASE_URL
from slipway.release.progress import ProgressReporter

DATABASE_URL_VARIABLE = "SLIPWAY_PREVIEW_DATABASE_URL"
"""Environment variable with the URL of an external database for the preview. Default: a new database in its base
environment's server."""
PRIORITY_ATTEMPTS = 3


@dataclass(frozen=True)
class PreviewRequest:
    """A preview to create or update."""

    name: str
    """Its branch's."""
    stack: str
    expires: str
    """Time to live from now: 3d."""
    image: str = ""
    """A digest in the registry; empty: build the sources."""


def create_or_update_preview(
    engine: PulumiBackend, base: BaseEnvironment, request: PreviewRequest, now: datetime, say: ProgressReporter
) -> dict[str, Any]:
    """Creates or updates the preview, and verifies its rollout; returns the object that `--json` prints.

    Raises `SlipwayError` if the stack is not the preview of that name, if previewLimit is reached, if the environment's
    file has encrypted values, or with Pulumi's error.
    """
    began = time.monotonic()
    stack = request.stack
    ensure_no_encrypted_values(base.base, build_preview_config(base.base, {}))
    with lock_preview(stack):
        if engine.local_aws:
            engine.local_aws.recover_stack(stack, ensure_project_folder(stack))
        exists = engine.has(stack)
        before = inspect_stack(engine, stack) if exists else StackSnapshot(stack)
        ensure_own_stack(before, request.name, base)
        _ensure_no_orphans(base, request, before)
        database_url = _external_database_url(before)
        expires = compute_expiry(request.expires, now)
        tags = {EXPIRES_TAG: expires, NAME_TAG: request.name, BASE_TAG: base.base}
        claim_place(engine, base, before, tags, say, exists=exists)
        _set_last_tags(engine, before, is_external=bool(database_url))
        own = {
            "kind": PREVIEW_KIND,
            "base": base.base,
            "imageDigest": request.image,
            "expiresAt": expires,
        }
        _up(engine, base, stack, own, database_url, say)
        created = inspect_stack(engine, stack)
    return describe_preview(created) | {"seconds": round(time.monotonic() - began, 1)}


def _set_last_tags(engine: PulumiBackend, before: StackSnapshot, *, is_external: bool) -> None:
    """Sets the tags after the claim; the kind last, because it makes other commands treat the stack as a preview."""
    tags = ({DATABASE_TAG: EXTERNAL_DATABASE} if is_external else {}) | {KIND_TAG: PREVIEW_KIND}
    for key, value in tags.items():
        if before.tags.get(key) != value:
            engine.ask("stack", "tag", "set", key, value, "--stack", before.stack)


def _up(
    engine: PulumiBackend,
    base: BaseEnvironment,
    stack: str,
    own: dict[str, Any],
    database_url: str,
    say: ProgressReporter,
) -> None:
    """Runs `pulumi up`; again with another rule priority if another preview took it before the update."""
    for attempt in range(PRIORITY_ATTEMPTS):
        priority = base.find_rule_priority(stack)
        write_stack_file(engine, stack, build_preview_config(base.base, own | {"rulePriority": priority}))
        if database_url:
            set_secret(engine, stack, f'{SECRETS_CONFIG_KEY}["{EXTERNAL_DATABASE_URL}"]', database_url)
        try:
            engine.run("up", "--yes", "--skip-preview", "--stack", stack, folder=ensure_project_folder(stack))
        except SlipwayError:
            if attempt + 1 == PRIORITY_ATTEMPTS or not base.is_priority_taken(stack, priority):
                raise
            say(f"Another preview now has the listener rule's priority {priority}: trying the next one.")
        else:
            return


def _ensure_no_orphans(base: BaseEnvironment, request: PreviewRequest, snapshot: StackSnapshot) -> None:
    """Raises `SlipwayError` if AWS has resources of the preview that its state lacks.

    An orphaned listener rule would have the priority of the new one, and an orphaned service would continue to cost.
    """
    ids_in_state = {id for resource in snapshot.resources for id in resource.get("ids", ())}
    in_aws = orphans.find_orphans(base.aws.of(base.cluster), names.stack_name(project_name(), request.stack))
    orphaned = [
        orphan.arn
        for orphan in in_aws
        if orphan.is_pulumi_managed and orphan.arn.removesuffix(":*") not in ids_in_state
    ]
    if orphaned:
        raise SlipwayError(
            f"AWS has resources of {request.stack} that its state lacks: {', '.join(orphaned)}. "
            "Its state was lost, or an update was killed or is in progress elsewhere.",
            f"slipway preview destroy {request.name} --base {base.base} --fix, then create it; or wait for the update.",
        )


def _external_database_url(before: StackSnapshot) -> str:
    """Returns the URL of the preview's external database; empty for one in the environment's server."""
    url = os.environ.get(DATABASE_URL_VARIABLE, "")
    if before.tags.get(DATABASE_TAG) == EXTERNAL_DATABASE and not url:
        raise SlipwayError(
            f"The database of {before.stack} is external, and {DATABASE_URL_VARIABLE} is not set.",
            f"Set {DATABASE_URL_VARIABLE} to its URL: without it the preview would get another database.",
        )
    return url


def describe_preview(snapshot: StackSnapshot) -> dict[str, Any]:
    """Returns a preview as JSON."""
    resources = [r for r in snapshot.resources if not r["type"].startswith(("pulumi:", "slipway:"))]
    return {
        "name": snapshot.tags.get(NAME_TAG, ""),
        "stack": snapshot.stack,
        "project": project_name(),
        "base": snapshot.tags.get(BASE_TAG, ""),
        "url": snapshot.outputs.get("url", ""),
        "image": snapshot.outputs.get("imageDigest", ""),
        "expires": snapshot.tags.get(EXPIRES_TAG, ""),
        "resources": len(resources),
        "usd_a_day": estimate_daily_cost(snapshot.resources),
    }
