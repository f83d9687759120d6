"""Refuses to destroy an environment that has previews."""

from __future__ import annotations

import json

from slipway.config import names
from slipway.config.errors import SlipwayError
from slipway.config.local_aws import LocalAws, is_local_stack
from slipway.config.project import project_name, project_root
from slipway.previews import orphans
from slipway.previews.preview_stacks import PulumiBackend, open_backend
from slipway.previews.stack_tags import KIND_TAG, PREVIEW_KIND
from slipway.release.deployed_stack import open_stack


def ensure_no_local_previews(local_aws: LocalAws) -> None:
    """Raises `SlipwayError` with the names of previews on the local environment: by their stacks' tags, and, since tags
    may have been removed, by their resources in AWS."""
    if not local_aws.is_running() or not local_aws.has_stack():
        return  # previews end with the local AWS
    base = local_aws.stack
    engine = open_backend(base)
    _raise_if_previews_exist(base, set(engine.previews(base)) | _find_previews_in_aws(engine, base))


def destroy_environment(stack: str, yes: bool) -> None:
    """Runs `pulumi destroy`, which asks. Raises `SlipwayError` if a preview has a stack or resources in AWS."""
    if is_local_stack(stack):
        raise SlipwayError(f"{stack} is the local stack, which ends with the local AWS.", "slipway down")
    engine = open_backend(stack)
    if not engine.has(stack):
        raise SlipwayError(f"There is no stack {stack} to destroy.", "pulumi stack ls")
    if engine.tags(stack).get(KIND_TAG) == PREVIEW_KIND:
        raise SlipwayError(f"{stack} is a preview, and no environment.", f"slipway preview destroy {stack}")
    _raise_if_previews_exist(stack, set(engine.previews(stack)) | _find_previews_in_aws(engine, stack))
    engine.run("destroy", *(["--yes", "--skip-preview"] if yes else []), "--stack", stack, folder=project_root())


def _find_previews_in_aws(engine: PulumiBackend, base: str) -> set[str]:
    """Returns the stacks of previews with resources in AWS, regardless of their tags and backend.

    Includes previews that were created before the setting `previews` became false.
    """
    outputs = json.loads(engine.ask("stack", "output", "--json", "--stack", base))
    if "foundation" not in outputs or "services" not in outputs:
        return set()  # never deployed
    before = names.stack_name(project_name(), "")
    stacks = orphans.find_stacks_with_orphans(open_stack(base).aws, names.stack_name(project_name(), base))
    return {stack.removeprefix(before) for stack in stacks}


def _raise_if_previews_exist(base: str, previews: set[str]) -> None:
    if previews:
        raise SlipwayError(
            f"{base} has {len(previews)} previews: {', '.join(sorted(previews))}.",
            "Run slipway preview destroy for each, or for all: "
            f"slipway preview reap --base {base} --at 2100-01-01T00:00:00+00:00",
        )
