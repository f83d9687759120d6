"""A journal of what the provider created and deleted, by which a killed engine's orphans are found.

The engine writes its state after each step. Killed in between, it has made a resource that its state does not know.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from slipway.config.project import run_dir

KEPT_PROPERTIES = {
    "arn", "name", "cluster", "bucket", "vpcId", "securityGroupId", "resourceArn", "scope", "forceDelete",
    "forceDestroy", "enableDeletionProtection", "deletionWindowInDays", "skipDestroy", "skipFinalSnapshot",
    "finalSnapshotIdentifier", "deleteAutomatedBackups", "rule", "targetId", "planId", "region", "associationId",
}  # fmt: skip
"""Properties that the deletion of a resource may need. None is a secret."""


def journal_path() -> Path:
    """One JSON object a line."""
    return run_dir() / "journal.jsonl"


def record_operation(operation: str, stack: str, token: str, id: str, properties: dict[str, Any]) -> None:
    """Appends that a resource of a stack was `created` or `deleted`, with its KEPT_PROPERTIES."""
    kept = {key: value for key, value in properties.items() if key in KEPT_PROPERTIES}
    line = json.dumps({"operation": operation, "stack": stack, "type": token, "id": id, "properties": kept}) + "\n"
    descriptor = os.open(journal_path(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def find_orphaned_resources(state: dict[str, Any], stack: str) -> list[dict[str, Any]]:
    """Returns the resources created for a stack that are neither deleted nor in its state; the newest first."""
    if not journal_path().exists():
        return []
    alive: dict[tuple[str, str], dict[str, Any]] = {}
    for line in journal_path().read_text().splitlines():
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


def clear_journal() -> None:
    """Forget everything: the emulator that held it is gone."""
    journal_path().unlink(missing_ok=True)
