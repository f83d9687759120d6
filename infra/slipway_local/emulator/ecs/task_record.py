"""The records of tasks and containers that DescribeTasks shows."""

from __future__ import annotations

from typing import Any

from slipway_local.emulator.ecs.failures import OUT_OF_MEMORY


def record_exit(record: dict[str, Any], state: dict[str, Any]) -> None:
    """Writes down that a container has ended, how, and whether for its memory."""
    record["lastStatus"] = "STOPPED"
    record["exitCode"] = state["ExitCode"]
    if state.get("OOMKilled") and state["ExitCode"]:
        record["reason"] = OUT_OF_MEMORY


def overall_health(containers: list[dict[str, Any]]) -> str:
    """Returns the health of a task by that of its containers which have a check."""
    statuses = {record["healthStatus"] for record in containers}
    if "UNHEALTHY" in statuses:
        return "UNHEALTHY"
    return "HEALTHY" if "HEALTHY" in statuses and not _has_unknown_health(containers) else "UNKNOWN"


def _has_unknown_health(containers: list[dict[str, Any]]) -> bool:
    """Returns whether a container that has a health check has no answer yet; one without a check does not count."""
    return any(record["healthStatus"] == "UNKNOWN" and record.get("_checked") for record in containers)


def find_container_definition(definition: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns the definition of one container of a task definition."""
    container: dict[str, Any] = next(d for d in definition["containerDefinitions"] if d["name"] == name)
    return container


def set_status(task: dict[str, Any], status: str) -> None:
    """Moves a task to another status, which is a new version of it."""
    task["lastStatus"] = status
    task["version"] += 1
