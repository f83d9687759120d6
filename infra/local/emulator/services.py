"""Puts this package's behaviours in the place of ministack's, service by service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from docker.models.containers import ContainerCollection
from ministack.core import container_reaper
from ministack.services import ssm

from infra.local.emulator import alarms, ecr, host, layers, logs, quotas, rds, scheduler, snapshots, stores, tagging
from infra.local.emulator.alb import routing, rules
from infra.local.emulator.ecs import api
from infra.local.emulator.labels import labels


def install() -> None:
    """Once, before the first request."""
    container_reaper.own_labels = _labelled(container_reaper.own_labels)
    ssm.resolve_parameter_value = _decrypted(ssm.resolve_parameter_value)
    # `run` calls `create`.
    ContainerCollection.create = _published_narrowly(ContainerCollection.create)  # type: ignore[method-assign]  # a patch
    stores.install()
    routing.install()
    rules.install()
    api.install()
    ecr.install()
    layers.install()
    rds.install()
    snapshots.install()
    scheduler.install()
    quotas.install()
    tagging.install()
    logs.install()
    alarms.install()


def _labelled(original: Callable[..., dict[str, str]]) -> Callable[..., dict[str, str]]:
    """What ministack itself starts (databases, caches) carries our label too, so that it is cleaned up with ours."""
    return lambda service, **extra: original(service, **extra) | labels()


def _published_narrowly(original: Callable[..., Any]) -> Callable[..., Any]:
    """A database's port is published on loopback and on Docker's bridge, not on every address of this machine."""

    def create(self: ContainerCollection, *arguments: Any, **options: Any) -> Any:
        ports = options.get("ports") or {}
        addresses = ("127.0.0.1", host.bridge())
        # A proxy of the Docker client's own would be between a task and this machine.
        options.setdefault("use_config_proxy", False)
        narrow = {k: [(a, p) for a in addresses] if isinstance(p, int) else p for k, p in ports.items()}
        return original(self, *arguments, **options | ({"ports": narrow} if narrow else {}))

    return create


def _decrypted(original: Callable[..., Any]) -> Callable[..., Any]:
    """ECS hands a SecureString to the container decrypted."""
    return lambda name, version=None, decrypt=True: original(name, version, True)
