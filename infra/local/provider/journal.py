"""What the provider made and took away, in order: so that a killed engine's orphans can be found.

The engine writes its state after each step. Killed in between, it has made a resource that its state does not know.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from infra.local.paths import run_dir

KEPT = {
    "arn", "name", "cluster", "bucket", "vpcId", "securityGroupId", "resourceArn", "scope", "forceDelete",
    "forceDestroy", "enableDeletionProtection", "deletionWindowInDays", "skipDestroy", "skipFinalSnapshot",
    "finalSnapshotIdentifier", "deleteAutomatedBackups", "rule", "targetId", "planId", "region",
}  # fmt: skip
"""What a resource's deletion may have to know of it. No secret is among it."""


def path() -> Path:
    """One JSON object a line."""
    return run_dir() / "journal.jsonl"


def record(operation: str, stack: str, token: str, id: str, properties: dict[str, Any]) -> None:
    """Note a resource of a stack as `created` or `deleted`, with what is `KEPT` of it."""
    kept = {key: value for key, value in properties.items() if key in KEPT}
    line = json.dumps({"operation": operation, "stack": stack, "type": token, "id": id, "properties": kept}) + "\n"
    descriptor = os.open(path(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def orphans(state: dict[str, Any], stack: str) -> list[dict[str, Any]]:
    """What was created for a stack, not deleted, and is not in the engine's state of it; the newest first."""
    if not path().exists():
        return []
    alive: dict[tuple[str, str], dict[str, Any]] = {}
    for line in path().read_text().splitlines():
        entry = json.loads(line)
        if entry["stack"] != stack:  # other stacks live in the same local AWS
            continue
        key = (entry["type"], entry["id"])
        if entry["operation"] == "created":
            alive[key] = entry
        else:
            alive.pop(key, None)
    known = {(r["type"], r.get("id")) for r in state["deployment"].get("resources") or []}
    return [entry for key, entry in reversed(alive.items()) if key not in known]


def clear() -> None:
    """Forget everything: the emulator that held it is gone."""
    path().unlink(missing_ok=True)
