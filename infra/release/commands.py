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


def migrate(stack: Stack, say: Say) -> None:
    """Run the stack's release step alone, as it was deployed last. Raises `SlipwayError` when it fails."""
    step = stack.outputs.get("release")
    if not step:
        raise SlipwayError(
            f"The stack {stack.name} has no release step.", "`release` in stacks/app.yaml is its command."
        )
    run(stack.aws, Migration(stack.cluster, step["family"], step["network"]), say)


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
    pulumi("config", "set", PINNED, past.digest, "--stack", stack.name)
    return subprocess.run(["pulumi", "up", "--yes", "--stack", stack.name], cwd=ROOT).returncode
