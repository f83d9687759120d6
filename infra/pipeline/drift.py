"""`slipway drift`: what is in AWS, and in the sources, against what was deployed last."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from infra.release.commands import BACK, PINNED
from infra.release.stack import pulumi
from infra.settings import ROOT

QUIET = {"same", "refresh", "read"}


@dataclass(frozen=True)
class Difference:
    """One resource that the next `up` would change."""

    change: str
    """`create`: somebody deleted it, or the sources have it now; `update`, `delete`, `replace` alike."""
    type: str
    name: str
    properties: list[str]

    def json(self) -> dict[str, Any]:
        """For a program."""
        return asdict(self)


def differences(stack: str) -> list[Difference]:
    """Ask AWS for every resource of the stack, and what an `up` of these sources would then change.

    The image is the one that was deployed, where it was given by its digest: a promoted one is in no file. Nothing is
    changed, neither in AWS nor in the state nor in a file. Raises `SlipwayError` with what `pulumi` says.
    """
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / f"Pulumi.{stack}.yaml"
        shutil.copy(ROOT / "stacks" / config.name, config)
        # In a file of its own: `pulumi config set` writes.
        of_it = ("--stack", stack, "--config-file", str(config))
        for key, digest in _deployed_digests(stack).items():
            pulumi("config", "set", key, digest, *of_it)
        # With the program, for a refresh without it has an expired login to the registry.
        shown = json.loads(pulumi("preview", "--refresh", "--run-program", "--json", *of_it))
    return [_difference(step) for step in shown["steps"] if step["op"] not in QUIET]


def report(stack: str, found: Sequence[Difference]) -> str:
    """For an issue: Markdown."""
    rows = [f"| {each.change} | `{each.name}` | `{each.type}` | {', '.join(each.properties)} |" for each in found]
    return "\n".join(
        [
            f"`pulumi preview --refresh -s {stack}` would change {len(found)} resources: somebody changed them by "
            "hand, or the sources have changed and were not deployed.",
            "",
            "| change | name | type | properties |",
            "|---|---|---|---|",
            *rows,
            "",
            f"`pulumi up --refresh -s {stack}` makes AWS what the sources say. What is right in AWS belongs into the "
            "sources. This issue is renewed each night, and closes when nothing differs.",
        ]
    )


def _difference(step: Any) -> Difference:
    *_, types, name = step["urn"].split("::", 3)
    return Difference(step["op"], types.rsplit("$", 1)[-1], name, sorted(step.get("detailedDiff") or {}))


def _deployed_digests(stack: str) -> dict[str, str]:
    """`imageDigest` and `rollbackTo` of the last deployment's configuration; none where the image was built."""
    history = json.loads(pulumi("stack", "history", "--json", "--page-size", "1", "--stack", stack) or "[]")
    config = history[0]["config"] if history else {}
    given = {key.rpartition(":")[2]: str(entry["value"]) for key, entry in config.items()}
    return {key: given[key] for key in (PINNED, BACK) if given.get(key)}
