"""Compares states, AWS and open pull requests, and destroys unneeded previews."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from slipway.config import names
from slipway.config.errors import SlipwayError
from slipway.config.project import project_name, run_dir
from slipway.previews import orphans
from slipway.previews.base_environment import BaseEnvironment, open_base_environment_or_empty
from slipway.previews.destroy import destroy_preview
from slipway.previews.expiry import ReapDecision, decide_reaping
from slipway.previews.identity import inspect_stack
from slipway.previews.preview_names import is_preview_stack_name
from slipway.previews.preview_stacks import PulumiBackend
from slipway.previews.stack_tags import BASE_TAG
from slipway.release import preview_database
from slipway.release.aws_errors import describe_aws_error
from slipway.release.progress import ProgressReporter

MAX_PARALLEL_DESTROYS = 4
"""Concurrent Pulumi engines; each needs about 300 MB."""


LOST_TAGS = "it has resources in AWS, and its stack lacks the tags of a preview"


@dataclass(frozen=True)
class ReapPlan:
    """The decision for each preview."""

    decisions: list[ReapDecision]
    base_environments: dict[str, BaseEnvironment]
    without_stack: dict[str, str]
    """Previews with resources in AWS and without a stack -> their environment."""
    base_by_stack: dict[str, str]

    @property
    def stacks_to_destroy(self) -> list[str]:
        """Stacks to destroy, and previews without a stack that have leftovers."""
        expired = [decision.stack for decision in self.decisions if decision.action == "destroy"]
        return expired + sorted(self.without_stack)

    def json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "decisions": [decision.json() for decision in self.decisions],
            "without_stack": sorted(self.without_stack),
        }


@dataclass(frozen=True)
class ReapResult:
    """The destroyed previews, and the failures."""

    destroyed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Stack -> reason."""

    def json(self) -> dict[str, Any]:
        """For a program."""
        return {"destroyed": self.destroyed, "failed": self.failed}


def plan_reaping(
    engine: PulumiBackend, base: str, now: datetime, open_prs: set[int] | None, say: ProgressReporter
) -> ReapPlan:
    """Decides about the previews of `base`, else of all environments with previews. Changes nothing.

    Raises `SlipwayError`.
    """
    names_of_bases = [base] if base else _list_base_environments(engine)
    base_environments = {name: open_base_environment_or_empty(engine, name, say) for name in names_of_bases}
    # Reads AWS before the stacks: a preview's stack is created before its other resources.
    remains = {name: _find_remaining_previews(environment) for name, environment in base_environments.items()}
    stacks = sorted({*engine.previews(), *(stack for name in names_of_bases for stack in engine.previews(name))})
    with ThreadPoolExecutor(MAX_PARALLEL_DESTROYS) as pool:
        snapshots = list(pool.map(lambda stack: inspect_stack(engine, stack), stacks))
    decisions: list[ReapDecision] = []
    base_by_stack: dict[str, str] = {}
    for name in base_environments:
        of_base = [snapshot for snapshot in snapshots if snapshot.tags.get(BASE_TAG, name) == name]
        for decision in decide_reaping(of_base, name, now, open_prs):
            if decision.stack not in base_by_stack:
                decisions.append(decision)
                base_by_stack[decision.stack] = name
    unlisted = {stack: name for name, remaining in remains.items() for stack in remaining if stack not in stacks}
    without_tags = {stack for stack in unlisted if engine.has(stack)}
    decisions += [ReapDecision(stack, "refuse", LOST_TAGS) for stack in sorted(without_tags)]
    without_stack = {stack: name for stack, name in unlisted.items() if stack not in without_tags}
    return ReapPlan(decisions, base_environments, without_stack, base_by_stack | unlisted)


def destroy_expired_previews(engine: PulumiBackend, planned: ReapPlan, say: ProgressReporter) -> ReapResult:
    """Destroys several at a time, and continues after a failure."""
    result = ReapResult()

    def destroy(stack: str) -> None:
        log = run_dir() / "previews" / f"{stack}.log"
        try:
            base = planned.base_environments[planned.base_by_stack[stack]]
            destroyed = destroy_preview(engine, base, stack, lambda _: None, fix=True, log=log)
            if destroyed.leftovers:
                arns = ", ".join(orphan.arn for orphan in destroyed.leftovers)
                raise SlipwayError(f"AWS still has resources of {stack}: {arns}", "Run the same command again.")
            result.destroyed.append(stack)
            say(f"{stack} was destroyed in {destroyed.seconds:.0f} s.")
        except (ClientError, BotoCoreError) as error:
            result.failed[stack] = str(describe_aws_error(error))
            say(f"{stack} was not destroyed: {result.failed[stack]}")
        except Exception as error:  # continues with the others
            result.failed[stack] = str(error)
            say(f"{stack} was not destroyed: {error}")

    (run_dir() / "previews").mkdir(exist_ok=True)
    with ThreadPoolExecutor(MAX_PARALLEL_DESTROYS) as pool:
        list(pool.map(destroy, planned.stacks_to_destroy))
    return result


def _list_base_environments(engine: PulumiBackend) -> list[str]:
    tags = [engine.find_tags(stack) or {} for stack in engine.previews()]
    return sorted({stack_tags[BASE_TAG] for stack_tags in tags if stack_tags.get(BASE_TAG)})


def _find_remaining_previews(base: BaseEnvironment) -> set[str]:
    """Returns the stacks of previews with resources in AWS or a database. Empty if the environment was destroyed: then
    this account may not be the environment's."""
    if not base.cluster:
        return set()
    aws = base.aws.of(base.cluster)
    prefix = names.stack_name(project_name(), "")
    tagged = orphans.find_stacks_with_orphans(aws, names.stack_name(project_name(), base.base))
    stacks = {stack.removeprefix(prefix) for stack in tagged if stack.startswith(prefix)}
    if base.server:
        databases = preview_database.list_databases(aws, base.server, lambda _: None)
        stacks |= {name.removeprefix("preview_").replace("_", "-") for name in databases}
    return {stack for stack in stacks if is_preview_stack_name(stack)}
