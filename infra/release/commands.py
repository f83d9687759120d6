"""`slipway migrate`, `deployments` and `rollback`: the release's parts for a person, each on a deployed stack."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Any

from infra.errors import SlipwayError
from infra.release import deployments
from infra.release.migrate import Migration, run
from infra.release.speaker import Say
from infra.release.stack import Stack, pulumi
from infra.settings import ROOT

PINNED = "imageDigest"
"""The setting that deploys an image which is in the registry already, instead of what is built from the sources."""
BACK = "rollbackTo"
"""The same for a former image, which does not migrate the database."""


def migrate(stack: Stack, say: Say, *, plan: bool = False) -> None:
    """Run the stack's release step alone, as it was registered last; with `plan` only say the SQL that it would run.

    Raises `SlipwayError` when it fails.
    """
    step = stack.outputs.get("release")
    if not step:
        raise SlipwayError(
            f"The stack {stack.name} has no release step.", "`release` in stacks/app.yaml is its command."
        )
    if plan and not step["plan"]:
        raise SlipwayError(
            "Nobody knows how the release step shows what it would do: it is not Alembic's own command.",
            "Name a command that prints the SQL and changes nothing as `releasePlan` in stacks/app.yaml, and run `up`.",
        )
    command = {step["container"]: step["plan"]} if plan else {}
    run(stack.aws, Migration(stack.cluster, step["family"], step["network"], command), say)


@dataclass(frozen=True)
class Row:
    """One deployment of one process."""

    process: str
    past: deployments.Past

    def json(self) -> dict[str, Any]:
        """For a program."""
        return {"process": self.process} | self.past.json()


def history(stack: Stack, limit: int) -> list[Row]:
    """The last `limit` deployments of each process, the newest first."""
    rows = [
        Row(process, past)
        for process, service in stack.services.items()
        for past in deployments.past(stack.aws, stack.cluster, service, limit)
    ]
    return sorted(rows, key=lambda row: row.past.when, reverse=True)


def target(stack: Stack, digest: str | None) -> deployments.Past:
    """The deployment to go back to: the last success with `digest`, or with another one than the newest has."""
    process, service = next(iter(stack.services.items()))
    past = deployments.past(stack.aws, stack.cluster, service)
    found = deployments.former(past, digest)
    if found is None or not found.digest:
        what = f"of {digest}" if digest else "of another image than the newest"
        raise SlipwayError(
            f"Among the last {len(past)} deployments of {process} is no successful one {what}.",
            f"slipway deployments {stack.name}",
        )
    return found


def pin(stack: Stack, past: deployments.Past) -> int:
    """Deploy a former image by its digest, with everything that an `up` looks at; the engine's exit code.

    The digest stays in the stack's configuration, so that every later `up` deploys it too, until it is taken out.
    """
    pulumi("config", "set", BACK, past.digest, "--stack", stack.name)
    return subprocess.run(["pulumi", "up", "--yes", "--stack", stack.name], cwd=ROOT).returncode
