"""`slipway migrate` and `deployments`: the release task and the list of deployments of a deployed stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slipway.config.errors import SlipwayError
from slipway.release import deployments
from slipway.release.deployed_stack import DeployedStack
from slipway.release.progress import ProgressReporter
from slipway.release.standalone_task import StandaloneTask, run_exclusive_task

IMAGE_DIGEST_SETTING = "imageDigest"
"""Setting with the digest of an image in the registry, which is deployed instead of the sources."""
ROLLBACK_SETTING = "rollbackTo"
"""Like imageDigest, for an earlier image: its release task does not run, and the database is not changed."""


def run_release_task(stack: DeployedStack, say: ProgressReporter, *, plan: bool = False) -> None:
    """Runs the stack's last deployed release task; with `plan`, only prints its SQL.

    Uses the ARN, not the family's newest revision, because another principal may register revisions.

    Raises `SlipwayError` if it fails.
    """
    step = stack.outputs.get("release")
    if not step:
        raise SlipwayError(
            f"The stack {stack.name} has no release task.", "`release` in stacks/app.yaml is its command."
        )
    if plan and not step["plan"]:
        raise SlipwayError(
            "The release command is not Alembic's own, so the kit cannot print its SQL.",
            "Set `releasePlan` in stacks/app.yaml to a command that prints the SQL and changes nothing, then run `up`.",
        )
    command = {step["container"]: step["plan"]} if plan else {}
    # Stacks deployed by older versions have the family only.
    task_definition = step.get("taskDefinition") or step["family"]
    run_exclusive_task(stack.aws, StandaloneTask(stack.cluster, task_definition, step["network"], command), say)


@dataclass(frozen=True)
class ProcessDeployment:
    """One deployment of one process."""

    process: str
    past: deployments.PastDeployment

    def json(self) -> dict[str, Any]:
        """Returns the object of `--json`."""
        return {"process": self.process} | self.past.json()


def list_deployments(stack: DeployedStack, limit: int) -> list[ProcessDeployment]:
    """Returns the last `limit` deployments of each process, the newest first."""
    rows = [
        ProcessDeployment(process, past)
        for process, service in stack.services.items()
        for past in deployments.list_past_deployments(stack.aws, stack.cluster, service, limit)
    ]
    return sorted(rows, key=lambda row: row.past.when, reverse=True)
