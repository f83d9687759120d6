"""A container definition as `docker run` options: every field of it that has a counterpart in Docker."""

from __future__ import annotations

from typing import Any

import docker
from infra.local.emulator import host
from infra.local.emulator.ecs.failures import secrets
from infra.local.emulator.labels import TASK_LABEL, labels

NANOSECONDS = 10**9

UNSUPPORTED = ("dnsServers", "extraHosts", "links", "systemControls", "resourceRequirements", "firelensConfiguration")
"""Fields that change how a container runs and that nothing here does anything about."""


def unsupported(definition: dict[str, Any]) -> list[str]:
    """The fields of a container definition that would be ignored: a task definition with one is refused."""
    return [field for field in UNSUPPORTED if definition.get(field)]


def environment(definition: dict[str, Any], override: dict[str, Any], task_id: str) -> dict[str, str]:
    """Plain variables, overrides, resolved secrets, and the way to this emulator as the task's AWS and its agent."""
    plain = {pair["name"]: pair["value"] for pair in definition.get("environment", [])}
    given = {pair["name"]: pair["value"] for pair in override.get("environment", [])}
    agent = {"ECS_AGENT_URI": host.agent_uri(task_id)}
    return host.aws_environment() | agent | plain | secrets(definition) | given


def options(
    definition: dict[str, Any], task_definition: dict[str, Any], override: dict[str, Any], task_id: str
) -> dict[str, Any]:
    """Arguments of docker-py's `containers.create` for one container of a task, network aside."""
    linux = definition.get("linuxParameters") or {}
    capabilities = linux.get("capabilities") or {}
    memory = definition.get("memory") or task_definition.get("memory")
    found: dict[str, Any] = {
        "name": container_name(task_definition, definition["name"], task_id),
        "image": definition["image"],
        "command": override.get("command") or definition.get("command") or None,
        "entrypoint": definition.get("entryPoint") or None,
        "environment": environment(definition, override, task_id),
        "user": definition.get("user") or None,
        "working_dir": definition.get("workingDirectory") or None,
        "read_only": bool(definition.get("readonlyRootFilesystem")),
        "privileged": bool(definition.get("privileged")),
        "init": bool(linux.get("initProcessEnabled")),
        "cap_drop": capabilities.get("drop") or None,
        "cap_add": capabilities.get("add") or None,
        "mem_limit": f"{int(memory)}m" if memory else None,
        "memswap_limit": f"{int(memory)}m" if memory else None,  # Fargate has no swap
        "mem_reservation": f"{int(definition['memoryReservation'])}m" if definition.get("memoryReservation") else None,
        "tmpfs": {t["containerPath"]: _tmpfs(t) for t in linux.get("tmpfs") or []} or None,
        "shm_size": f"{linux['sharedMemorySize']}m" if linux.get("sharedMemorySize") else None,
        "ulimits": [
            docker.types.Ulimit(name=u["name"], soft=u["softLimit"], hard=u["hardLimit"])
            for u in definition.get("ulimits") or []
        ]
        or None,
        "healthcheck": _health_check(definition.get("healthCheck")),
        "volumes": _mounts(definition, task_id),
        "labels": (definition.get("dockerLabels") or {})
        | labels()
        | {TASK_LABEL: task_id, "slipway.container": definition["name"]},
        "stop_signal": None,
    }
    return {key: value for key, value in found.items() if value is not None}


def container_name(task_definition: dict[str, Any], container: str, task_id: str) -> str:
    """As ECS's agent names them: family (project, stack, process), revision, container; then the task's id begins."""
    return f"ecs-{task_definition['family']}-{task_definition['revision']}-{container}-{task_id[:8]}"


def volume_name(task_id: str, volume: str) -> str:
    """The Docker volume that stands for a volume of a task."""
    return f"slipway-{task_id}-{volume}"


def _tmpfs(definition: dict[str, Any]) -> str:
    return ",".join([f"size={definition['size']}m", *definition.get("mountOptions", [])])


def _health_check(check: dict[str, Any] | None) -> dict[str, Any]:
    if not check:
        return {"test": ["NONE"]}  # ECS does not look at the image's own HEALTHCHECK
    return {
        "test": check["command"],
        "interval": check.get("interval", 30) * NANOSECONDS,
        "timeout": check.get("timeout", 5) * NANOSECONDS,
        "retries": check.get("retries", 3),
        "start_period": check.get("startPeriod", 0) * NANOSECONDS,
    }


def _mounts(definition: dict[str, Any], task_id: str) -> dict[str, dict[str, str]] | None:
    mounts = {
        volume_name(task_id, mount["sourceVolume"]): {
            "bind": mount["containerPath"],
            "mode": "ro" if mount.get("readOnly") else "rw",
        }
        for mount in definition.get("mountPoints") or []
    }
    return mounts or None
