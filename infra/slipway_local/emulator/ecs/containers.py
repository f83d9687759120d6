"""A container definition as `docker run` options: every field of it that has a counterpart in Docker."""

from __future__ import annotations

from typing import Any

import docker
from slipway_local.emulator import docker_host
from slipway_local.emulator.ecs.failures import StartFailure
from slipway_local.emulator.ecs.secrets import resolve_secrets
from slipway_local.emulator.ecs.task_roles import TaskRoles
from slipway_local.emulator.labels import TASK_LABEL, docker_labels

NANOSECONDS = 10**9

UNSUPPORTED_FIELDS = (
    "dnsServers",
    "extraHosts",
    "links",
    "systemControls",
    "resourceRequirements",
    "firelensConfiguration",
)
"""Fields that change how a container runs and that nothing here does anything about."""


def unsupported_fields(definition: dict[str, Any]) -> list[str]:
    """Returns the fields of a container definition that would be ignored: a task definition with one is refused."""
    return [field for field in UNSUPPORTED_FIELDS if definition.get(field)]


def container_environment(
    definition: dict[str, Any],
    override: dict[str, Any],
    roles: TaskRoles,
    credentials: dict[str, str],
) -> dict[str, str]:
    """Returns plain variables, overrides, resolved secrets, and those for the task's AWS, its agent and credentials.

    Raises:
        StartFailure: a secret is missing, or the execution role may not read it.
    """
    plain = {pair["name"]: pair["value"] for pair in definition.get("environment", [])}
    overriding = {pair["name"]: pair["value"] for pair in override.get("environment", [])}
    agent = {"ECS_AGENT_URI": docker_host.agent_uri(roles.task_id)}
    from_task = docker_host.aws_environment() | credentials | agent
    return from_task | plain | resolve_secrets(definition, roles) | overriding


def docker_create_options(
    definition: dict[str, Any],
    task_definition: dict[str, Any],
    override: dict[str, Any],
    roles: TaskRoles,
    credentials: dict[str, str],
) -> dict[str, Any]:
    """Returns the arguments of docker-py's `containers.create` for one container of a task, network aside.

    Raises:
        StartFailure: a secret is missing, or the execution role may not read it.
    """
    task_id = roles.task_id
    linux = definition.get("linuxParameters") or {}
    capabilities = linux.get("capabilities") or {}
    memory = definition.get("memory") or task_definition.get("memory")
    options: dict[str, Any] = {
        "name": container_name(task_definition, definition["name"], task_id),
        "image": definition["image"],
        "command": override.get("command") or definition.get("command") or None,
        "entrypoint": definition.get("entryPoint") or None,
        "environment": container_environment(definition, override, roles, credentials),
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
        "tmpfs": {t["containerPath"]: _tmpfs_options(t) for t in linux.get("tmpfs") or []} or None,
        "shm_size": f"{linux['sharedMemorySize']}m" if linux.get("sharedMemorySize") else None,
        "ulimits": [
            docker.types.Ulimit(name=u["name"], soft=u["softLimit"], hard=u["hardLimit"])
            for u in definition.get("ulimits") or []
        ]
        or None,
        "healthcheck": _health_check(definition.get("healthCheck")),
        "volumes": _mounts(definition, task_id),
        "labels": (definition.get("dockerLabels") or {})
        | docker_labels()
        | {TASK_LABEL: task_id, "slipway.container": definition["name"]},
        "stop_signal": None,
    }
    return {key: value for key, value in options.items() if value is not None}


def container_name(task_definition: dict[str, Any], container: str, task_id: str) -> str:
    """As ECS's agent names them: family (project, stack, process), revision, container; then the task's id begins."""
    return f"ecs-{task_definition['family']}-{task_definition['revision']}-{container}-{task_id[:8]}"


def volume_name(task_id: str, volume: str) -> str:
    """Returns the Docker volume that stands for a volume of a task."""
    return f"slipway-{task_id}-{volume}"


def create_pause_container(task_definition: dict[str, Any], task_id: str) -> Any:
    """Creates the container that holds a task's network namespace while its others come and go."""
    return docker_host.docker_client().containers.create(
        task_definition["containerDefinitions"][0]["image"],
        name=container_name(task_definition, "pause", task_id),
        entrypoint=["sleep", "infinity"],
        init=True,
        extra_hosts=docker_host.extra_hosts(),
        labels=docker_labels() | {TASK_LABEL: task_id, "slipway.container": "pause"},
    )


def create_volumes(task_definition: dict[str, Any], task_id: str) -> None:
    """Creates the Docker volumes of a task.

    Raises:
        StartFailure: a volume is of a kind that the local ECS does not have.
    """
    for volume in task_definition.get("volumes") or []:
        unsupported = [field for field in ("efsVolumeConfiguration", "host") if (volume.get(field) or {})]
        if unsupported:
            raise StartFailure(f"The local ECS has no {unsupported[0]} (volume {volume['name']}).")
        name = volume_name(task_id, volume["name"])
        docker_host.docker_client().volumes.create(name, labels=docker_labels() | {TASK_LABEL: task_id})


def _tmpfs_options(definition: dict[str, Any]) -> str:
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
