"""`slipway rollback`: deploys an earlier image again, then pins it in the stack's configuration.

The `up` runs with a copy of the stack file, and the file itself is written after that `up` has succeeded. Meanwhile a
tag of the stack stores the target, so that an interrupted rollback resumes with the same image: by then that image may
be the newest deployment, and the one before it would be the broken one.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from slipway.config.errors import SlipwayError
from slipway.config.project import project_name, project_root
from slipway.release import deployments
from slipway.release.deployed_stack import DeployedStack, run_pulumi_in_project
from slipway.release.deployments import PastDeployment
from slipway.release.operations import ROLLBACK_SETTING
from slipway.release.pulumi_cli import run_pulumi_attached
from slipway.release.stack_configuration import read_stack_setting, write_stack_setting

ROLLBACK_TAG = "slipway:rollback"
"""Tag of a stack with an unfinished rollback: `<digest>@<creation time of the newest deployment then>`."""


@dataclass(frozen=True)
class RollbackPlan:
    """The deployment to roll back to."""

    target: PastDeployment
    newest: PastDeployment
    is_resumed: bool = False
    """Whether it resumes an interrupted rollback or repeats a completed one."""


def plan_rollback(stack: DeployedStack, digest: str | None = None) -> RollbackPlan:
    """Returns the last successful deployment of `digest`; without one: the target of an interrupted or active rollback,
    else the last successful deployment of an image other than the newest's.

    So a repeated command does not return to the image that the first one replaced.
    Raises `SlipwayError` if there is none.
    """
    process, service = next(iter(stack.app_services.items()))
    history = deployments.list_past_deployments(stack.aws, stack.cluster, service)
    resumed = None if digest else _find_current_target(stack.name, history)
    if resumed:
        return RollbackPlan(resumed, history[0], is_resumed=True)
    target = deployments.find_former_deployment(history, digest)
    if target is None or not target.digest:
        description = f"of {digest}" if digest else "of an image other than the newest"
        raise SlipwayError(
            f"The last {len(history)} deployments of {process} include no successful one {description}.",
            f"slipway deployments {stack.name}",
        )
    return RollbackPlan(target, history[0])


def roll_back(stack: DeployedStack, plan: RollbackPlan) -> int:
    """Deploys the plan's image by its digest, with all checks of an `up`, then pins it; returns Pulumi's exit code.

    From then on every `up` deploys that image, until `end_rollback`. If the `up` fails, the configuration does not
    change. Raises `SlipwayError`.
    """
    digest = plan.target.digest
    run_pulumi_in_project("stack", "tag", "set", ROLLBACK_TAG, f"{digest}@{plan.newest.when}", "--stack", stack.name)
    code = _deploy(stack.name, digest)
    if code:
        if _newest_digest(stack) != digest:  # nothing was deployed, so there is nothing to resume
            _remove_tag(stack.name)
        return code
    write_stack_setting(stack.name, ROLLBACK_SETTING, digest)
    _remove_tag(stack.name)
    return 0


def end_rollback(stack: str) -> str:
    """Removes the pin from the stack's configuration; returns the pinned digest, empty if there was none.

    Raises `SlipwayError`.
    """
    digest = read_stack_setting(stack, ROLLBACK_SETTING)
    if digest:
        write_stack_setting(stack, ROLLBACK_SETTING, None)
    if ROLLBACK_TAG in _tags(stack):
        _remove_tag(stack)
    return digest


def _deploy(stack: str, digest: str) -> int:
    """Runs `pulumi up` of the image with a copy of the stack file; returns Pulumi's exit code."""
    with tempfile.TemporaryDirectory(prefix="slipway-rollback-") as scratch:
        config = Path(scratch) / f"Pulumi.{stack}.yaml"
        shutil.copy(project_root() / "stacks" / config.name, config)
        key = f"{project_name()}:{ROLLBACK_SETTING}"
        options = ("--stack", stack, "--config-file", str(config))
        run_pulumi_in_project("config", "set", key, digest, *options)
        return run_pulumi_attached(("up", "--yes", *options), project_root())


def _find_current_target(stack: str, history: list[PastDeployment]) -> PastDeployment | None:
    """Returns the target of an interrupted or active rollback; None if another image was deployed since."""
    if not history:
        return None
    pinned = read_stack_setting(stack, ROLLBACK_SETTING)
    if pinned and pinned == history[0].digest:
        return history[0]
    digest, _, began_at = _tags(stack).get(ROLLBACK_TAG, "").partition("@")
    is_current = digest and (history[0].when == began_at or history[0].digest == digest)
    return next((each for each in history if each.digest == digest), None) if is_current else None


def _newest_digest(stack: DeployedStack) -> str:
    service = next(iter(stack.app_services.values()))
    history = deployments.list_past_deployments(stack.aws, stack.cluster, service)
    return history[0].digest if history else ""


def _tags(stack: str) -> dict[str, str]:
    tags: dict[str, str] = json.loads(run_pulumi_in_project("stack", "tag", "ls", "--json", "--stack", stack))
    return tags


def _remove_tag(stack: str) -> None:
    run_pulumi_in_project("stack", "tag", "rm", ROLLBACK_TAG, "--stack", stack)
