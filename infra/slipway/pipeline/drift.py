"""`slipway drift`: compares AWS and the sources with the last deployment."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from slipway.config.project import project_root
from slipway.release.deployed_stack import run_pulumi_in_project
from slipway.release.operations import IMAGE_DIGEST_SETTING, ROLLBACK_SETTING

UNCHANGED_OPERATIONS = {"same", "refresh", "read"}


@dataclass(frozen=True)
class DriftedResource:
    """A resource that the next `up` would change."""

    change: str
    """Pulumi's operation: `create` (deleted by hand, or new in the sources), `update`, `replace`, `delete`."""
    type: str
    name: str
    properties: list[str]

    def json(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return asdict(self)


def detect_drift(stack: str) -> list[DriftedResource]:
    """Reads every resource of the stack from AWS, and returns the changes that an `up` of these sources would make.

    Uses the deployed image if that was set by its digest, because a promoted digest is in no file. Changes nothing in
    AWS, the state or files. Raises `SlipwayError` with Pulumi's error.
    """
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / f"Pulumi.{stack}.yaml"
        shutil.copy(project_root() / "stacks" / config.name, config)
        # Uses a copy of the stack file, because `pulumi config set` writes to it.
        options = ("--stack", stack, "--config-file", str(config))
        for key, digest in _deployed_digests(stack).items():
            run_pulumi_in_project("config", "set", key, digest, *options)
        # Runs the program: a refresh without it has an expired registry login.
        preview = json.loads(run_pulumi_in_project("preview", "--refresh", "--run-program", "--json", *options))
    return [_parse_step(step) for step in preview["steps"] if step["op"] not in UNCHANGED_OPERATIONS]


def format_drift_issue(stack: str, drifted: Sequence[DriftedResource]) -> str:
    """Returns the text of the GitHub issue, in Markdown."""
    rows = [
        f"| {resource.change} | `{resource.name}` | `{resource.type}` | {', '.join(resource.properties)} |"
        for resource in drifted
    ]
    return "\n".join(
        [
            f"`pulumi preview --refresh -s {stack}` would change {len(drifted)} resources: they were changed by "
            "hand, or the sources have changed and were not deployed.",
            "",
            "| change | name | type | properties |",
            "|---|---|---|---|",
            *rows,
            "",
            f"`pulumi up --refresh -s {stack}` changes AWS to match the sources. To keep a change of AWS, add it to "
            "the sources. This issue is updated each night, and closes when nothing differs.",
        ]
    )


def _parse_step(step: Any) -> DriftedResource:
    *_, types, name = step["urn"].split("::", 3)
    return DriftedResource(step["op"], types.rsplit("$", 1)[-1], name, sorted(step.get("detailedDiff") or {}))


def _deployed_digests(stack: str) -> dict[str, str]:
    """Returns `imageDigest` and `rollbackTo` of the last deployment's configuration; none if the image was built."""
    history = json.loads(
        run_pulumi_in_project("stack", "history", "--json", "--page-size", "1", "--stack", stack) or "[]"
    )
    config = history[0]["config"] if history else {}
    values = {key.rpartition(":")[2]: str(entry["value"]) for key, entry in config.items()}
    return {key: values[key] for key in (IMAGE_DIGEST_SETTING, ROLLBACK_SETTING) if values.get(key)}
