"""Puts this package's behaviours in the place of ministack's, service by service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.core import container_reaper
from ministack.services import ssm

from infra.local.emulator.alb import routing
from infra.local.emulator.ecs import api
from infra.local.emulator.labels import labels


def install() -> None:
    """Once, before the first request."""
    container_reaper.own_labels = _labelled(container_reaper.own_labels)
    ssm.resolve_parameter_value = _decrypted(ssm.resolve_parameter_value)
    routing.install()
    api.install()


def _labelled(original: Callable[..., dict[str, str]]) -> Callable[..., dict[str, str]]:
    """What ministack itself starts (databases, caches) carries our label too, so that it is cleaned up with ours."""
    return lambda service, **extra: original(service, **extra) | labels()


def _decrypted(original: Callable[..., Any]) -> Callable[..., Any]:
    """ECS hands a SecureString to the container decrypted."""
    return lambda name, version=None, decrypt=True: original(name, version, True)
