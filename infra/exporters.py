"""What measures the stores for Prometheus: an exporter for each that the app needs, as containers of its task."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from infra import contract
from infra.components.image import Image, ImageArgs
from infra.components.task import Container
from infra.foundation import Foundation, SecretValue
from infra.release.image_tag import before_the_image_is_pushed
from infra.settings import Settings
from infra.stores import Stores

PORTS = {"database": 9187, "cache": 9121}
"""Where they listen, for their own task alone: docker/exporter-*."""
HEALTH = {"database": "/", "cache": "/health"}
"""What answers without asking the store."""


def exporters(name: str, settings: Settings, *, foundation: Foundation, stores: Stores) -> dict[str, Container]:
    """Store -> its exporter, of the environment `name`. They log in with what they need, and verify the server."""
    values, found = stores.values.plain, {}
    if stores.database_step and stores.database_step.metrics:
        login = stores.database_step.metrics
        where = pulumi.Output.format(
            "{0}:{1}/{2}?sslmode=verify-full&sslrootcert={3}",
            *(values[f"database.{part}"] for part in ("host", "port", "name", "ca")),
        )
        plain: Mapping[str, pulumi.Input[str]] = {"DATA_SOURCE_URI": where, "DATA_SOURCE_USER": login.user}
        found["database"] = _exporter("database", plain, {"DATA_SOURCE_PASS": login.password})
    if stores.cache_facts:
        plain = {
            "REDIS_ADDR": pulumi.Output.format("rediss://{0}:{1}", values["cache.host"], values["cache.port"]),
            "REDIS_EXPORTER_TLS_CA_CERT_FILE": values["cache.ca"],
        }
        found["cache"] = _exporter("cache", plain, {"REDIS_PASSWORD": stores.values.secret["cache.password"]})
    return {store: each.but(image=_image(name, store, settings, foundation)) for store, each in found.items()}


def _exporter(store: str, plain: Mapping[str, pulumi.Input[str]], secrets: Mapping[str, SecretValue]) -> Container:
    return Container(
        name=f"exporter-{store}",
        image="",
        environment=plain,
        secrets=secrets,
        health_check=contract.health_check(PORTS[store], HEALTH[store]),
        essential=False,  # Prometheus, and what it has, outlives them
        restarts=True,
        scratch=False,
    )


def _image(name: str, store: str, settings: Settings, foundation: Foundation) -> pulumi.Output[str]:
    folder = f"exporter-{store}"
    hooks = before_the_image_is_pushed(f"{name}-{folder}")
    args = ImageArgs.of_the_kit(
        folder,
        contract.EXPORTER_IMAGES[store],
        settings,
        registry=foundation.registry,
        hooks=hooks,
        stores=[store],
    )
    return Image(f"{name}-{folder}", args).reference
