"""Puts this package's behaviours in the place of ministack's, service by service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from docker.models.containers import ContainerCollection
from ministack.core import container_reaper
from ministack.services import ssm

from slipway_local.emulator import docker_host
from slipway_local.emulator.alb import listener_rules, routing
from slipway_local.emulator.ecs import api
from slipway_local.emulator.labels import docker_labels
from slipway_local.emulator.patches import (
    application_autoscaling,
    cloudwatch_alarms,
    cloudwatch_logs,
    ec2_security_groups,
    ecr_images,
    ecr_layer_cache,
    eventbridge_scheduler,
    rds_elasticache,
    rds_managed_password,
    rds_snapshots,
    rds_stop,
    resource_tagging,
    service_quotas,
    sns_subject,
    ssm_sessions,
)


def install_all() -> None:
    """Installs all patches; called once, before the first request."""
    container_reaper.own_labels = _wrap_own_labels(container_reaper.own_labels)
    ssm.resolve_parameter_value = _wrap_resolve_parameter(ssm.resolve_parameter_value)
    # `run` calls `create`.
    ContainerCollection.create = _wrap_create_container(ContainerCollection.create)  # type: ignore[method-assign]  # a patch
    rds_elasticache.install()
    routing.install()
    listener_rules.install()
    api.install()
    ec2_security_groups.install()
    ecr_images.install()
    ecr_layer_cache.install()
    rds_managed_password.install()
    rds_snapshots.install()
    rds_stop.install()
    eventbridge_scheduler.install()
    application_autoscaling.install()
    service_quotas.install()
    resource_tagging.install()
    sns_subject.install()
    ssm_sessions.install()
    cloudwatch_logs.install()
    cloudwatch_alarms.install()


def _wrap_own_labels(original: Callable[..., dict[str, str]]) -> Callable[..., dict[str, str]]:
    """Label what ministack itself starts (databases, caches) as ours, so that it is cleaned up as well."""
    return lambda service, **extra: original(service, **extra) | docker_labels()


def _wrap_create_container(original: Callable[..., Any]) -> Callable[..., Any]:
    """Publish a database's port on loopback and Docker's bridge, not on every address of this machine."""

    def create(self: ContainerCollection, *arguments: Any, **options: Any) -> Any:
        ports = options.get("ports") or {}
        addresses = ("127.0.0.1", docker_host.bridge_address())
        # A proxy of the Docker client's own would be between a task and this machine.
        options.setdefault("use_config_proxy", False)
        narrow = {k: [(a, p) for a in addresses] if isinstance(p, int) else p for k, p in ports.items()}
        return original(self, *arguments, **options | ({"ports": narrow} if narrow else {}))

    return create


def _wrap_resolve_parameter(original: Callable[..., Any]) -> Callable[..., Any]:
    """ECS hands a SecureString to the container decrypted."""
    return lambda name, version=None, decrypt=True: original(name, version, True)
